//! The `corelane` command: an HTTP/2 server over TLS, one worker per core, and a prober of what
//! any server makes of ALPN.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod access_log;
mod alpn;
mod args;
mod certificates;
mod client_certificates;
mod configuration;
mod digest;
mod health;
mod limits;
mod reload;
mod restart;
mod routes;
mod self_signed;
mod service_manager;
mod signals;
mod tickets;
mod tls;

use std::{
    io::Write,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    process::ExitCode,
    rc::Rc,
};

use corelane::{Affinity, Builder, Chain, Error, Handle, Server, tls::Identity};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    access_log::{Log, Record},
    args::Args,
    configuration::{Invocation, Stop},
    health::{HEALTH, State},
    restart::{Inherited, PidFile, Program},
    signals::Running,
};

/// A worker allocates and frees several times per request, in sizes that glibc returns to the kernel
/// and takes again.
#[cfg(all(feature = "jemalloc", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // First of all: it changes the environment.
    let mut inherited = Inherited::take();
    let arguments = std::env::args_os().collect();
    let (ended, failure) = match configuration::read(arguments, &|name| std::env::var_os(name)) {
        Ok(Invocation::Serve(args)) => {
            log(args.verbose);
            // For as long as the process lives: certificates are reloaded by the same options.
            (
                serve(Box::leak(args), &mut inherited).map(|()| ExitCode::SUCCESS),
                ExitCode::FAILURE,
            )
        }
        Ok(Invocation::Check(args, text)) => {
            log(args.verbose);
            (
                check(*args, &text).map(|()| ExitCode::SUCCESS),
                ExitCode::FAILURE,
            )
        }
        Ok(Invocation::Alpn(args)) => {
            log(0);
            (alpn::run(&args), ExitCode::from(alpn::UNREACHABLE))
        }
        Ok(Invocation::Upgrade(args)) => {
            (args.run().map(|()| ExitCode::SUCCESS), ExitCode::FAILURE)
        }
        Err(Stop::Said(said)) => {
            inherited.failed(&said);
            said.exit()
        }
        Err(Stop::Mistakes(mistakes)) => (Err(mistakes.into()), ExitCode::FAILURE),
    };
    ended.unwrap_or_else(|error| {
        inherited.failed(Chain(&*error));
        let _ = writeln!(std::io::stderr(), "corelane: {}", Chain(&*error));
        failure
    })
}

/// To standard error; what the libraries below have to say only from -vvv on.
fn log(verbose: u8) {
    let (own, others) = match verbose {
        0 => (LevelFilter::WARN, LevelFilter::WARN),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::DEBUG, LevelFilter::DEBUG),
    };
    let filter = Targets::new()
        .with_default(others)
        .with_target("corelane", own);
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(format.with_filter(filter))
        .init();
}

fn serve(args: &'static Args, inherited: &mut Inherited) -> Result<(), Box<dyn std::error::Error>> {
    // Before any thread starts: a signal is then never lost to the default action.
    let signals = signals::catch()?;
    let reload = reload::catch()?;
    let program = Program::of_this_process()?;
    let restart = &args.restart;
    if restart.takeover && !inherited.replaces_server() {
        restart::look_at_the_kernel();
    }
    let (builder, tls, identities) = configured(args, inherited)?;
    let server = builder.bind().map_err(restart::advise)?;
    let log = args.access_log.start()?;
    let handle = match &log {
        None => server.serve(|_worker| corelane::service_fn(routes::answer))?,
        Some(log) => serve_logged(server, log.log().clone())?,
    };
    let pid_file = restart.pid_file.as_deref().map(PidFile::write);
    let _pid_file = pid_file.transpose()?;
    HEALTH.set(State::Ready);
    reload.start(args, identities, handle.reloader())?;
    introduce(&handle, &tls);
    match inherited.replaces_server() {
        true => inherited.ready(),
        false => service_manager::ready(),
    }
    let running = Running {
        handle,
        program,
        sockets: Vec::new(),
        upgrade_timeout: restart.upgrade_timeout(),
        shutdown_delay: restart.shutdown_delay(),
        shutdown_deadline: args.limits.shutdown_deadline(),
    };
    let ended = running.obey(signals);
    if let Some(log) = log {
        log.finish();
    }
    Ok(ended?)
}

fn serve_logged(server: Server, log: Log) -> Result<Handle, Error> {
    server.serve(move |_worker| {
        let log = Rc::new(log.clone());
        corelane::service_fn(move |request| {
            let record = Record::begin(&log, &request);
            async move {
                let answer = routes::answer(request).await;
                answer.map(|response| record.answered(response))
            }
        })
    })
}

/// All that can be known of a server without starting it.
fn configured(
    args: &Args,
    inherited: &mut Inherited,
) -> Result<(Builder, tls::Description, Vec<Identity>), Error> {
    let tls = tls::choose(args)?;
    let builder = Server::builder(tls.acceptor)
        .driver(args.driver.into())
        .share_port(args.restart.takeover)
        .alpn_missing(args.alpn_missing.into())
        .proxy_protocol(args.proxy_protocol.iter().copied());
    let builder = args.limits.set(with_workers(builder, args));
    let builder = listen(builder, args, inherited)?;
    Ok((builder, tls.description, tls.identities))
}

/// Says whether a server would start, and prints what it would go by.
fn check(args: Args, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let looks_only = Args {
        certificates: args.certificates.that_write_nothing(),
        ..args
    };
    let (builder, _, _) = configured(&looks_only, &mut Inherited::default())?;
    builder.check()?;
    looks_only.access_log.check()?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn with_workers(mut builder: Builder, args: &Args) -> Builder {
    if let Some(workers) = args.workers.0 {
        builder = builder.workers(workers);
    }
    if args.no_affinity {
        builder = builder.affinity(Affinity::None);
    } else if !args.cpus.is_empty() {
        builder = builder.affinity(Affinity::Cpus(args.cpus.clone()));
    }
    builder
}

/// On the addresses given, taking inherited sockets where there are some. A service manager's are
/// served on whatever the addresses, another server's only where they still are among those given.
fn listen(mut builder: Builder, args: &Args, inherited: &mut Inherited) -> Result<Builder, Error> {
    let mut sockets = inherited.serving()?;
    let addrs = match &args.listen[..] {
        [] if sockets.is_empty() => default_addrs(),
        given => given.to_vec(),
    };
    let mut serve_on = Vec::new();
    for addr in &addrs {
        match restart::at(&mut sockets, *addr) {
            none if none.is_empty() => builder = builder.listen(*addr),
            some => serve_on.extend(some),
        }
    }
    if addrs.is_empty() || !inherited.replaces_server() {
        serve_on.append(&mut sockets);
    }
    for socket in sockets {
        tracing::info!(?socket, "no longer listened on");
    }
    Ok(serve_on.into_iter().fold(builder, Builder::listener))
}

/// Loopback, IPv6 too where this host has it.
fn default_addrs() -> Vec<SocketAddr> {
    const PORT: u16 = 8443;
    let mut addrs = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addrs.push(SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)));
    }
    addrs
}

/// Says what is running and how to try it. Nobody to read it is no reason to fail.
fn introduce(handle: &Handle, tls: &tls::Description) {
    let mut out = std::io::stdout().lock();
    let addrs = handle.local_addrs();
    let scheme = tls.scheme;
    for addr in addrs {
        let _ = writeln!(out, "listening on {scheme}://{addr}");
    }
    let _ = writeln!(out, "TLS: {}", tls.text);
    let workers = handle.workers();
    let _ = writeln!(out, "workers: {}", workers.len());
    for worker in workers {
        let info = worker.info;
        let cpu = match info.cpu {
            Some(cpu) => format!("CPU {cpu}"),
            None => "not pinned".into(),
        };
        let _ = writeln!(out, "  {}: {}, {cpu}", info.index, info.driver);
    }
    if let Some(addr) = addrs.first() {
        let host = match addr.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".into(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let _ = writeln!(
            out,
            "try: curl {} {scheme}://{host}:{}/",
            tls.curl_options,
            addr.port()
        );
    }
    let _ = out.flush();
}
