//! A server's process.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;

use crate::{accounting::Processes, install::path_with_sbin};

/// A server that is running. Dropping it stops the server.
#[derive(Debug)]
pub struct Running {
    pub addr: SocketAddr,
    child: Child,
    scratch: TempDir,
    processes: Option<Processes>,
}

impl Running {
    /// Starts the server and waits until it accepts connections, for `limit` at most. Its output goes
    /// to a file in `scratch`.
    pub fn spawn(
        mut command: Command,
        addr: SocketAddr,
        scratch: TempDir,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let log = File::create(scratch.path().join("log"))?;
        command
            .env("PATH", path_with_sbin())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // One process group for each server: all its processes are counted, and stopped, together.
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let mut running = Self {
            addr,
            child,
            scratch,
            processes: None,
        };
        running.wait_until_it_accepts(limit)?;
        Ok(running)
    }

    fn wait_until_it_accepts(&mut self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while TcpStream::connect_timeout(&self.addr, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("did not start ({status}): {}", self.log());
            }
            if Instant::now() > deadline {
                bail!("does not listen after {limit:?}: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The last lines of its output.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.trim().lines().collect();
        match &lines[lines.len().saturating_sub(5)..] {
            [] => "it printed nothing".into(),
            last => last.join("; "),
        }
    }

    /// The server's processes. The first call must follow an answered request: before, some of the
    /// processes may not exist yet.
    pub fn processes(&mut self) -> anyhow::Result<&Processes> {
        if let Some(status) = self.child.try_wait()? {
            bail!("has ended ({status}): {}", self.log());
        }
        if self.processes.is_none() {
            self.processes = Some(Processes::of_group(self.id())?);
        }
        self.processes.as_ref().context("they were found above")
    }

    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Does not reap the process, so that its id is not given to another one.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.id()), options), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM first, since some servers wait for their children; SIGKILL after a second. No other
        // process can have this id until the server is waited for.
        let _ = kill_process_group(self.id(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline && !self.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(self.id(), Signal::KILL);
        let _ = self.child.wait();
    }
}
