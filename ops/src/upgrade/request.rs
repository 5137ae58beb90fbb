//! `corelane upgrade`: asks the server that runs to replace itself, and tells how it went.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use corelane::Error;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{outcome::Waiting, pid_file};

/// Replace the server that runs by a new process of the same program, as it is on disk now, with the
/// same arguments, without losing a connection.
///
/// It sends the server SIGUSR2. The new process gets the listening sockets; when it serves, the old
/// one answers what it has accepted and ends. If it does not come to that, the old one goes on, and
/// the exit status is 1.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The server's --pid-file.
    #[arg(long, value_name = "FILE", required_unless_present = "pid")]
    pid_file: Option<PathBuf>,

    /// The server's process id.
    #[arg(long, value_name = "PID", conflicts_with = "pid_file")]
    pid: Option<u32>,

    /// How long to wait for the outcome; more than the server's --upgrade-timeout.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
}

impl UpgradeArgs {
    pub(crate) fn run(&self) -> Result<(), Box<dyn std::error::Error>> {
        let server = self.server()?;
        takes_the_signal(server)?;
        let waiting = Waiting::on(server).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                Error::config(format!("process {server} is being upgraded already"))
            }
            _ => error.into(),
        })?;
        pass_on(Signal::SIGUSR2 as i32, server).map_err(|error| {
            Error::config(format!("process {server} cannot be sent SIGUSR2: {error}"))
        })?;
        let begun = Instant::now();
        let timeout = Duration::from_secs(self.timeout.into());
        while begun.elapsed() < timeout {
            match waiting.outcome(Duration::from_millis(200))? {
                Some(Ok(process)) => {
                    let mut out = std::io::stdout();
                    let _ = writeln!(out, "process {process} serves, process {server} drains");
                    return Ok(());
                }
                Some(Err(why)) => {
                    return Err(format!("process {server} goes on serving: {why}").into());
                }
                None if fs::exists(format!("/proc/{server}")).unwrap_or(true) => {}
                None => {
                    return Err(format!("process {server} has ended; its log says why").into());
                }
            }
        }
        Err(
            format!("process {server} has not told the outcome after {timeout:?}; see its log")
                .into(),
        )
    }

    fn server(&self) -> Result<u32, Error> {
        let Some(file) = &self.pid_file else {
            return self
                .pid
                .ok_or_else(|| Error::config("neither --pid nor --pid-file"));
        };
        pid_file::read(file).map_err(|error| {
            let file = file.display();
            Error::config(format!(
                "cannot tell which server runs from the pid file {file}: {error}"
            ))
        })
    }
}

/// Sends a process a signal.
pub(crate) fn pass_on(signal: i32, process: u32) -> nix::Result<()> {
    let process = i32::try_from(process).map_err(|_| Errno::ESRCH)?;
    kill(Pid::from_raw(process), Signal::try_from(signal)?)
}

/// A process that does not would be ended by it.
fn takes_the_signal(process: u32) -> Result<(), Error> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .map_err(|error| Error::config(format!("there is no process {process}: {error}")))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    match caught {
        Some(mask) if mask & (1 << (Signal::SIGUSR2 as i32 - 1)) == 0 => Err(Error::config(
            format!("process {process} does not take SIGUSR2: it is no server of corelane"),
        )),
        _ => Ok(()),
    }
}
