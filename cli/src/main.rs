//! The `corelane` command: an HTTP/2 server over TLS, one worker per core, and a prober of what
//! any server makes of ALPN.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod alpn;
mod args;
mod client_certificates;
mod configuration;
mod digest;
mod health;
mod limits;
mod routes;
mod self_signed;
mod signals;
mod tickets;
mod tls;

use std::{
    io::Write,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    process::ExitCode,
};

use corelane::{Affinity, Builder, Chain, Error, Handle, Server};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    args::Args,
    configuration::{Invocation, Stop},
    health::{HEALTH, State},
};

/// A worker allocates and frees several times per request, in sizes that glibc returns to the kernel
/// and takes again.
#[cfg(all(feature = "jemalloc", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = std::env::args_os().collect();
    let (ended, failure) = match configuration::read(arguments, &|name| std::env::var_os(name)) {
        Ok(Invocation::Serve(args)) => {
            log(args.verbose);
            (run(&args).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE)
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
        Err(Stop::Said(said)) => said.exit(),
        Err(Stop::Mistakes(mistakes)) => (Err(mistakes.into()), ExitCode::FAILURE),
    };
    ended.unwrap_or_else(|error| {
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

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let signals = signals::catch()?;
    let (builder, tls) = configured(args)?;
    let server = builder.bind()?;
    let handle = server.serve(|_worker| corelane::service_fn(routes::answer))?;
    HEALTH.set(State::Ready);
    introduce(&handle, &tls);
    signals::obey(signals, handle, args.limits.shutdown_deadline())?;
    Ok(())
}

/// All that can be known of a server without starting it.
fn configured(args: &Args) -> Result<(Builder, tls::Description), Error> {
    let tls = tls::choose(args)?;
    let builder = Server::builder(tls.acceptor)
        .driver(args.driver.into())
        .share_port(args.share_port)
        .alpn_missing(args.alpn_missing.into());
    let builder = args.limits.set(with_workers(builder, args));
    Ok((listen(builder, args), tls.description))
}

/// Says whether a server would start, and prints what it would go by.
fn check(args: Args, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let looks_only = Args {
        write_cert: None,
        ..args
    };
    let (builder, _) = configured(&looks_only)?;
    builder.check()?;
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

fn listen(builder: Builder, args: &Args) -> Builder {
    let addrs = match &args.listen[..] {
        [] => default_addrs(),
        given => given.to_vec(),
    };
    addrs.into_iter().fold(builder, Builder::listen)
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
