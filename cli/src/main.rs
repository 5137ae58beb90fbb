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
mod configure;
mod digest;
mod expiry;
mod introduction;
mod limits;
mod negotiated;
mod network;
mod reload;
mod restart;
mod routes;
mod self_signed;
mod serve;
mod status;
mod takeover;
mod tickets;
mod tls;
mod verbosity;

use std::{
    io::{IsTerminal, Write},
    panic,
    process::ExitCode,
    sync::Arc,
};

use corelane::Chain;
use corelane_ops::{EventLog, Inherited};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    args::Args,
    configuration::{Invocation, Stop, Values},
    verbosity::Verbosity,
};

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
        // Reloads use the options for as long as the process lives.
        Ok(Invocation::Serve(args, values)) => return serve(Box::leak(args), values, inherited),
        Ok(Invocation::Check(args, text)) => {
            log(args.verbose, std::io::stderr);
            (
                serve::check(*args, &text).map(|()| ExitCode::SUCCESS),
                ExitCode::FAILURE,
            )
        }
        Ok(Invocation::Alpn(args)) => {
            log(0, std::io::stderr);
            (alpn::run(&args), ExitCode::from(alpn::UNREACHABLE))
        }
        Ok(Invocation::Upgrade(args)) => {
            (args.run().map(|()| ExitCode::SUCCESS), ExitCode::FAILURE)
        }
        Ok(Invocation::Reload(args)) => (args.run().map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
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

/// Serves. From the start of the log on, nothing here waits for standard error.
fn serve(args: &'static Args, values: Values, mut inherited: Inherited) -> ExitCode {
    let log_thread = match EventLog::to_standard_error() {
        Ok(log_thread) => log_thread,
        Err(error) => {
            inherited.report_failure(Chain(&error));
            let _ = writeln!(std::io::stderr(), "corelane: {}", Chain(&error));
            return ExitCode::FAILURE;
        }
    };
    let writer = log_thread.writer();
    let verbosity = log(args.verbose, Arc::new(writer.clone()));
    // By default a panic, of a handler for example, is written by the thread that panics.
    panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let status = match serve::serve(args, values, verbosity, inherited) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(&writer, "corelane: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    };
    log_thread.finish();
    status
}

/// Logs to standard error.
fn log<W>(verbose: u8, writer: W) -> Verbosity
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let (filter, verbosity) = verbosity::filter(verbose);
    let format = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer);
    tracing_subscriber::registry()
        .with(format.with_filter(filter))
        .init();
    verbosity
}
