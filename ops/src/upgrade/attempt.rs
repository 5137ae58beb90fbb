//! One attempt to start a new process for the running server. It gets the sockets, and replaces this
//! process when it has reported that it serves.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    net::TcpListener,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    process::{Child, Command},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use command_fds::{CommandFdExt, FdMapping};

use super::program::Program;
use crate::protocol::{FAILED, READY, REPORT};

/// The first descriptor of a socket in systemd's protocol.
const FIRST_FD: RawFd = 3;

/// How often a waiting attempt checks whether it was cancelled.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// The new process, until this one [`release`]s it.
static UNCONFIRMED: Mutex<Option<Child>> = Mutex::new(None);

pub(crate) struct Attempt {
    pub(crate) program: Program,
    /// The sockets for the new process, by name.
    pub(crate) sockets: Vec<(&'static str, TcpListener)>,
    pub(crate) timeout: Duration,
    /// Set when this server shuts down.
    pub(crate) cancelled: Arc<AtomicBool>,
}

impl Attempt {
    /// Starts the new process and waits until it serves. When it fails, the new process is gone. When
    /// it succeeds, the caller has to [`release`] the new process.
    pub(crate) fn run(self) -> Result<u32, String> {
        let path = self.program.path().display().to_string();
        let (id, report) = self
            .start()
            .map_err(|error| format!("cannot start {path}: {error}"))?;
        tracing::info!(process = id, path, "started a new process");
        let reason = match self.wait(report) {
            Ok(report) if report == READY => return Ok(id),
            Ok(report) if report.is_empty() => match exit_status() {
                Some(status) => {
                    *unconfirmed() = None;
                    return Err(format!("{path} ended ({status}) before it served"));
                }
                None => "closed the socket of its report".into(),
            },
            Ok(report) => {
                let failure = report.strip_prefix(READY).unwrap_or(&report);
                failure.strip_prefix(FAILED).unwrap_or(failure).to_owned()
            }
            Err(reason) => reason,
        };
        kill_unconfirmed();
        if let Some(mut child) = unconfirmed().take() {
            let _ = child.wait();
        }
        Err(format!("{path}: {reason}"))
    }

    fn start(&self) -> io::Result<(u32, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut names = vec![REPORT];
        let mut passed = vec![OwnedFd::from(theirs)];
        for (name, socket) in &self.sockets {
            names.push(name);
            passed.push(socket.try_clone()?.into());
        }
        let count = passed.len();
        let mappings = (FIRST_FD..)
            .zip(passed)
            .map(|(child_fd, parent_fd)| FdMapping {
                parent_fd,
                child_fd,
            });
        let mut command: Command = self.program.command();
        command
            .fd_mappings(mappings.collect())
            .map_err(io::Error::other)?
            .env_remove("LISTEN_PID")
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
        let occupied =
            occupy_fds_below(FIRST_FD + RawFd::try_from(count).map_err(io::Error::other)?)?;
        // Locked until the child is stored: `kill_unconfirmed` then misses no process.
        let mut unconfirmed = unconfirmed();
        let child = command.spawn()?;
        drop(occupied);
        let id = child.id();
        *unconfirmed = Some(child);
        Ok((id, ours))
    }

    /// Reads the whole report: the new process closes the socket after it.
    fn wait(&self, mut report: UnixStream) -> Result<String, String> {
        let started = Instant::now();
        let broken = |error: io::Error| format!("cannot read its report: {error}");
        report
            .set_read_timeout(Some(CANCEL_CHECK))
            .map_err(broken)?;
        let mut received = Vec::new();
        loop {
            match report.read_to_end(&mut received) {
                Ok(_) => return Ok(String::from_utf8_lossy(&received).into_owned()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => {}
                Err(error) => return Err(broken(error)),
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err("cancelled: the server shuts down".into());
            }
            if started.elapsed() > self.timeout {
                return Err(format!("does not serve after {:?}", self.timeout));
            }
        }
    }
}

/// The status of a process that has closed its report, and so probably ends within moments.
fn exit_status() -> Option<std::process::ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        if let Some(Ok(Some(status))) = unconfirmed().as_mut().map(Child::try_wait) {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Occupies the free descriptors below `end`. Otherwise the standard library's pipe, through which a
/// failed start is reported, could get one of them and be overwritten with a socket.
fn occupy_fds_below(end: RawFd) -> io::Result<Vec<File>> {
    let mut occupied = Vec::new();
    loop {
        let file = File::open("/dev/null")?;
        if file.as_raw_fd() >= end {
            return Ok(occupied);
        }
        occupied.push(file);
    }
}

/// Lets the new process run on when this one ends.
pub(crate) fn release() {
    *unconfirmed() = None;
}

/// Kills a new process that has not replaced this one yet. Call it before this process ends: the new
/// one must not serve alone.
pub(crate) fn kill_unconfirmed() {
    if let Some(child) = unconfirmed().as_mut() {
        // Fails only if it has ended.
        let _ = child.kill();
    }
}

fn unconfirmed() -> MutexGuard<'static, Option<Child>> {
    UNCONFIRMED.lock().unwrap_or_else(PoisonError::into_inner)
}
