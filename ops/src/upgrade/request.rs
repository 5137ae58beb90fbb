//! Asks a running server for an upgrade.

use std::{
    fs,
    io::ErrorKind,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::outcome::OutcomeSocket;
use crate::Error;

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
    check_handles_signal(server)?;
    let socket = OutcomeSocket::bind(server).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            Error::new(format!("an upgrade of process {server} is in progress"))
        }
        _ => Error::with_source("cannot wait for the outcome", error),
    })?;
    send_signal(Signal::SIGUSR2 as i32, server).map_err(|error| {
        Error::with_source(format!("cannot send SIGUSR2 to process {server}"), error)
    })?;
    let started = Instant::now();
    while started.elapsed() < timeout {
        let outcome = socket
            .receive(Duration::from_millis(200))
            .map_err(|error| Error::with_source("cannot receive the outcome", error))?;
        match outcome {
            Some(Ok(process)) => return Ok(process),
            Some(Err(reason)) => {
                let message = format!("process {server} goes on serving: {reason}");
                return Err(Error::new(message));
            }
            None if fs::exists(format!("/proc/{server}")).unwrap_or(true) => {}
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

pub(crate) fn send_signal(signal: i32, process: u32) -> nix::Result<()> {
    let process = i32::try_from(process).map_err(|_| Errno::ESRCH)?;
    kill(Pid::from_raw(process), Signal::try_from(signal)?)
}

/// SIGUSR2 ends a process that does not handle it.
fn check_handles_signal(process: u32) -> Result<(), Error> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .map_err(|error| Error::with_source(format!("there is no process {process}"), error))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    match caught {
        Some(mask) if mask & (1 << (Signal::SIGUSR2 as i32 - 1)) == 0 => Err(Error::new(format!(
            "process {process} does not handle SIGUSR2: it is not a corelane server"
        ))),
        _ => Ok(()),
    }
}
