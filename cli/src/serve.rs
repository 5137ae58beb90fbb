//! Starts the server by its options, or checks them.

use std::{error::Error, io::Write};

use corelane::{Chain, Handle, Server};
use corelane_ops::{AccessLogLayer, Inherited, Lifecycle, PidFile, tower_layer::Layer};

use crate::{
    addresses,
    args::Args,
    configuration::Values,
    configure::{Configured, configure},
    expiry::Expiry,
    introduction, limits,
    reload::{Reloading, Watch},
    routes::{AllCounts, CurrentTable, Routes, RoutesConfig},
    takeover, tls,
    verbosity::Verbosity,
};

pub(crate) fn serve(
    args: &'static Args,
    values: Values,
    verbosity: Verbosity,
    inherited: Inherited,
) -> Result<(), Box<dyn Error>> {
    // Before any thread starts: otherwise a signal may still end the process.
    let lifecycle = Lifecycle::new(inherited)?
        .takeover(args.restart.takeover)
        .upgrade_timeout(args.restart.upgrade_timeout())
        .shutdown_delay(args.restart.shutdown_delay())
        .shutdown_deadline(args.limits.shutdown_deadline());
    let mut introduction = String::new();
    let running = lifecycle.start(|lifecycle| {
        let started = start(args, values, verbosity, lifecycle);
        let (handle, text) = started.map_err(|error| locate(&*error, args))?;
        introduction = text;
        Ok(handle)
    })?;
    introduction::print(introduction, args.access_log.is_standard_output());
    Ok(running.wait()?)
}

fn start(
    args: &'static Args,
    values: Values,
    verbosity: Verbosity,
    lifecycle: &mut Lifecycle,
) -> Result<(Handle, String), Box<dyn Error>> {
    if args.restart.takeover && !lifecycle.inherited().replaces_server() {
        takeover::check_kernel();
    }
    addresses::check(args)?;
    let expiry = Expiry::start()?;
    let counts = AllCounts::default();
    let admin = match args.admin.admin() {
        Some(admin) => {
            let (expiry, counts) = (expiry.clone(), counts.clone());
            let admin = admin
                .record(move || expiry.record())
                .record(move || counts.record());
            let opened = lifecycle.admin(admin);
            Some(opened.map_err(|error| {
                let advice = takeover::admin_advice(&error, args.restart.takeover);
                with_advice(format!("--admin: {}", Chain(&error)), advice)
            })?)
        }
        None => None,
    };
    let watch = Watch::new(args);
    let Configured {
        builder,
        tls,
        loaded,
        routes: table,
    } = configure(args)?;
    let served = table.introduction();
    let table = CurrentTable::new(table);
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
    let config = RoutesConfig {
        health: lifecycle.health(),
        source: source.clone(),
        table: table.clone(),
        counts,
    };
    let routes = move || Routes::new(config.clone());
    // An error after this point cuts connections off.
    let handle = match log {
        None => serve_routes(server, routes)?,
        Some(log) => serve_logged(server, routes, log)?,
    };
    if let Some(source) = source {
        source.observe(handle.observer());
    }
    expiry.set(args, &loaded);
    let reloading = Reloading {
        args,
        values,
        verbosity,
        expiry,
        table,
        reloader: handle.reloader(),
        timing: lifecycle.timing(),
    };
    lifecycle.on_reload(reloading.with(watch));
    let introduction = introduction::text(&handle, &tls, &served, admin);
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

/// With advice.
fn explain(error: &corelane::Error, args: &Args) -> String {
    let advice = takeover::advice(error, args.restart.takeover);
    with_advice(Chain(error).to_string(), advice)
}

fn with_advice(message: String, advice: Option<&str>) -> String {
    match advice {
        Some(advice) => format!("{message}; {advice}"),
        None => message,
    }
}

/// In terms of flags, with the files, lines and variables where the options that it names were set.
fn locate(error: &(dyn Error + 'static), args: &Args) -> String {
    let message = limits::name_flag(Chain(error).to_string());
    args.sources.locate(&message)
}

/// Checks that a server would start, and prints its effective configuration.
pub(crate) fn check(args: Args, text: &str) -> Result<(), Box<dyn Error>> {
    let args = Args {
        certificates: args.certificates.check_only(),
        ..args
    };
    let tls = validate(&args).map_err(|error| locate(&*error, &args))?;
    if !text.is_empty() {
        let text = format!("{text}\n# TLS: {}\n", tls.text);
        std::io::stdout().write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Finds what would make the start fail.
fn validate(args: &Args) -> Result<tls::Description, Box<dyn Error>> {
    addresses::check(args)?;
    let addrs = match &args.listen[..] {
        [] => addresses::default_addrs(),
        named => named.to_vec(),
    };
    let Configured { builder, tls, .. } = configure(args)?;
    let builder = Inherited::default().listen(builder, addrs)?;
    builder.check().map_err(|error| explain(&error, args))?;
    args.access_log.check()?;
    if let Some(path) = &args.restart.pid_file {
        PidFile::check(path)?;
    }
    Ok(tls)
}
