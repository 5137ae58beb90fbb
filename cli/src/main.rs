//! The `corelane` command: an HTTP/2 server over TLS, one worker per core, and a prober of how any
//! server answers ALPN.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod access_log;
mod addresses;
mod admin;
mod alpn;
mod args;
mod certificates;
mod client_certificates;
mod configuration;
mod digest;
mod introduction;
mod limits;
mod negotiated;
mod reload;
mod restart;
mod routes;
mod self_signed;
mod serve;
mod status;
mod takeover;
mod tickets;
mod tls;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use corelane::Chain;
use corelane_ops::Inherited;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::configuration::{Invocation, Stop};

/// A worker allocates and frees several times per request, in sizes that glibc returns to the kernel
/// and requests again.
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
            // Reloads use the options for as long as the process lives.
            (
                serve::serve(Box::leak(args), inherited).map(|()| ExitCode::SUCCESS),
                ExitCode::FAILURE,
            )
        }
        Ok(Invocation::Check(args, text)) => {
            log(args.verbose);
            (
                serve::check(*args, &text).map(|()| ExitCode::SUCCESS),
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
        Err(Stop::Clap(error)) => {
            inherited.report_failure(&error);
            error.exit()
        }
        Err(Stop::Mistakes(mistakes)) => {
            inherited.report_failure(&mistakes);
            (Err(mistakes.into()), ExitCode::FAILURE)
        }
    };
    ended.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "corelane: {}", Chain(&*error));
        failure
    })
}

/// Logs to standard error. Messages of other libraries only from -vvv on.
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
    let format = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(format.with_filter(filter))
        .init();
}
