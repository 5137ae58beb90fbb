//! Asks a running server for an upgrade or a reload.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    Error,
    outcome::{Outcome, OutcomeSocket, Request},
    process::{handles, is_running, send_signal},
};

/// Asks the server process `server` to replace itself by a new process of the same program, and
/// returns the id of the new process once it serves.
///
/// Sends SIGUSR2; the server must run a [`Lifecycle`](crate::Lifecycle). `timeout` should be longer
/// than its [`upgrade_timeout`](crate::Lifecycle::upgrade_timeout).
///
/// # Errors
///
/// When the process does not exist or does not handle SIGUSR2, when the upgrade fails and the server
/// goes on, and when the outcome is unknown after `timeout`.
pub fn request_upgrade(server: u32, timeout: Duration) -> Result<u32, Error> {
    let outcome = request(Request::Upgrade, Signal::SIGUSR2, server, timeout)?;
    let process = outcome.and_then(|text| {
        text.parse()
            .map_err(|_| format!("it reports {text:?} as the new process"))
    });
    process.map_err(|reason| Error::new(format!("process {server} goes on serving: {reason}")))
}

/// Asks the server process `server` to reload, and returns when it has. What the server could not
/// change and left as it was is in the list.
///
/// Sends SIGHUP; the server must run a [`Lifecycle`](crate::Lifecycle) with
/// [`on_reload`](crate::Lifecycle::on_reload).
///
/// # Errors
///
/// When the process does not exist or does not handle SIGHUP, when the reload fails and the server
/// keeps its configuration, and when the outcome is unknown after `timeout`.
pub fn request_reload(server: u32, timeout: Duration) -> Result<Vec<String>, Error> {
    let outcome = request(Request::Reload, Signal::SIGHUP, server, timeout)?;
    let left = outcome.map_err(|reason| {
        Error::new(format!(
            "process {server} keeps its configuration: {reason}"
        ))
    })?;
    Ok(left.lines().map(str::to_owned).collect())
}

fn request(
    request: Request,
    signal: Signal,
    server: u32,
    timeout: Duration,
) -> Result<Outcome, Error> {
    if !is_running(server) {
        return Err(Error::new(format!("there is no process {server}")));
    }
    // The signal ends a process that does not handle it.
    if handles(server, signal) == Some(false) {
        return Err(Error::new(format!(
            "process {server} does not handle {signal}: it is not a corelane server"
        )));
    }
    let mut socket = OutcomeSocket::bind(request, server)
        .map_err(|error| Error::with_source("cannot wait for the outcome", error))?;
    send_signal(signal, server).map_err(|error| {
        Error::with_source(format!("cannot send {signal} to process {server}"), error)
    })?;
    let started = Instant::now();
    while started.elapsed() < timeout {
        // Before it receives: the server sends the outcome before it ends.
        let running = is_running(server);
        let outcome = socket
            .receive()
            .map_err(|error| Error::with_source("cannot receive the outcome", error))?;
        match outcome {
            Some(outcome) => return Ok(outcome),
            None if running => {}
            None => {
                return Err(Error::new(format!(
                    "process {server} has ended; its log says why"
                )));
            }
        }
    }
    Err(Error::new(format!(
        "process {server} has not reported the outcome after {timeout:?}; see its log"
    )))
}
