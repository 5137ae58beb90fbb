//! Starts the server by its options, or checks them.

use std::{error::Error, io::Write};

use corelane::{Affinity, Builder, Chain, Handle, Server, tls::Identity};
use corelane_ops::{
    AccessLogLayer, Admin, CertificateExpiry, Inherited, Lifecycle, PidFile, tower_layer::Layer,
};

use crate::{
    addresses,
    args::Args,
    introduction, limits,
    reload::{self, Watch},
    routes::Routes,
    takeover, tls,
};

pub(crate) fn serve(args: &'static Args, inherited: Inherited) -> Result<(), Box<dyn Error>> {
    // Before any thread starts: otherwise a signal may still end the process.
    let lifecycle = Lifecycle::new(inherited)?
        .takeover(args.restart.takeover)
        .upgrade_timeout(args.restart.upgrade_timeout())
        .shutdown_delay(args.restart.shutdown_delay())
        .shutdown_deadline(args.limits.shutdown_deadline());
    let mut introduction = String::new();
    let running = lifecycle.start(|lifecycle| {
        let (handle, text) = start(args, lifecycle)?;
        introduction = text;
        Ok(handle)
    })?;
    introduction::print(introduction, args.access_log.is_standard_output());
    Ok(running.wait()?)
}

fn start(
    args: &'static Args,
    lifecycle: &mut Lifecycle,
) -> Result<(Handle, String), Box<dyn Error>> {
    if args.restart.takeover && !lifecycle.inherited().replaces_server() {
        takeover::check_kernel();
    }
    addresses::check(args)?;
    let expiry = CertificateExpiry::default();
    let admin = match args.admin.addr() {
        Some(addr) => {
            let expiry = expiry.clone();
            let admin = Admin::new(addr).record(move || expiry.record());
            let opened = lifecycle.admin(admin);
            Some(opened.map_err(|error| format!("--admin: {}", Chain(&error)))?)
        }
        None => None,
    };
    let watch = Watch::new(args);
    let Configured {
        builder,
        tls,
        identities,
    } = configure(args)?;
    let addrs = match &args.listen[..] {
        [] if lifecycle.inherited().is_empty() => addresses::default_addrs(),
        named => named.to_vec(),
    };
    let server = lifecycle
        .listen(builder, addrs)?
        .bind()
        .map_err(|error| explain(&error, args))?;
    let log = args.access_log.open()?;
    let log = log.map(|log| lifecycle.access_log(log)).transpose()?;
    if let Some(path) = &args.restart.pid_file {
        lifecycle.pid_file(path)?;
    }
    let source = args.status.source();
    let routes = {
        let (health, source) = (lifecycle.health(), source.clone());
        move || Routes::new(health.clone(), source.clone())
    };
    // An error after this point cuts connections off.
    let handle = match log {
        None => serve_routes(server, routes)?,
        Some(log) => serve_logged(server, routes, log)?,
    };
    if let Some(source) = source {
        source.observe(handle.observer());
    }
    reload::set_expiry(&expiry, args, &identities);
    lifecycle.on_reload(reload::reload(args, watch, expiry, handle.reloader()));
    let introduction = introduction::text(&handle, &tls, admin);
    Ok((handle, introduction))
}

fn serve_routes(
    server: Server,
    routes: impl Fn() -> Routes + Send + Sync + 'static,
) -> Result<Handle, corelane::Error> {
    server.serve(move |_worker| {
        let routes = routes();
        corelane::service_fn(move |request| routes.clone().respond(request))
    })
}

fn serve_logged(
    server: Server,
    routes: impl Fn() -> Routes + Send + Sync + 'static,
    log: AccessLogLayer,
) -> Result<Handle, corelane::Error> {
    server.serve(move |_worker| {
        let routes = routes();
        log.layer(corelane::service_fn(move |request| {
            routes.clone().respond(request)
        }))
    })
}

/// A server that is configured but has no sockets yet.
struct Configured {
    builder: Builder,
    tls: tls::Description,
    identities: Vec<Identity>,
}

fn configure(args: &Args) -> Result<Configured, corelane::Error> {
    let tls = tls::choose(args)?;
    let builder = Server::builder(tls.acceptor)
        .driver(args.driver.into())
        .share_port(args.restart.takeover)
        .alpn_missing(args.alpn_missing.into())
        .proxy_protocol(args.proxy_protocol.iter().copied());
    Ok(Configured {
        builder: args.limits.set(with_workers(builder, args)),
        tls: tls.description,
        identities: tls.identities,
    })
}

fn with_workers(mut builder: Builder, args: &Args) -> Builder {
    if let Some(workers) = args.workers.0 {
        builder = builder.workers(workers.get());
    }
    if args.no_affinity {
        builder = builder.affinity(Affinity::None);
    } else if !args.cpus.is_empty() {
        builder = builder.affinity(Affinity::Cpus(args.cpus.clone()));
    }
    builder
}

/// In terms of flags, with advice.
fn explain(error: &corelane::Error, args: &Args) -> String {
    let message = limits::name_flag(Chain(error).to_string());
    match takeover::advice(error, args.restart.takeover) {
        Some(advice) => format!("{message}; {advice}"),
        None => message,
    }
}

/// Checks that a server would start, and prints its effective configuration.
pub(crate) fn check(args: Args, text: &str) -> Result<(), Box<dyn Error>> {
    let args = Args {
        certificates: args.certificates.check_only(),
        ..args
    };
    addresses::check(&args)?;
    let addrs = match &args.listen[..] {
        [] => addresses::default_addrs(),
        named => named.to_vec(),
    };
    let builder = configure(&args)?.builder;
    let builder = Inherited::default().listen(builder, addrs)?;
    builder.check().map_err(|error| explain(&error, &args))?;
    args.access_log.check()?;
    if let Some(path) = &args.restart.pid_file {
        PidFile::check(path)?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
