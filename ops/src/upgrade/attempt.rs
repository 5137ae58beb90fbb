//! One attempt to start a new process for the running server. It gets the sockets, and replaces this
//! process when it has reported that it serves.

use std::{
    io::{self, ErrorKind, Read},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    child::{Child, Ended},
    program::Program,
};
use crate::protocol::{FAILED, READY, REPORT};

/// How often a waiting attempt checks whether it was cancelled.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// The new process, until this one [`release`]s it.
static UNCONFIRMED: Mutex<Option<Child>> = Mutex::new(None);

pub(crate) struct Attempt {
    pub(crate) program: Program,
    /// The sockets for the new process, by name.
    pub(crate) sockets: Vec<(&'static str, OwnedFd)>,
    pub(crate) timeout: Duration,
    /// Set when this server shuts down.
    pub(crate) cancelled: Arc<AtomicBool>,
}

impl Attempt {
    /// Starts the new process and waits until it serves. When it fails, the new process is gone. When
    /// it succeeds, the caller has to [`release`] the new process.
    pub(crate) fn run(mut self) -> Result<u32, String> {
        let path = self.program.path().display().to_string();
        let (id, report) = self
            .start()
            .map_err(|error| format!("cannot start {path}: {error}"))?;
        tracing::info!(process = id, path, "started a new process");
        let reason = match self.wait(report) {
            Ok(report) if report == READY => return Ok(id),
            Ok(report) if report.is_empty() => match exit_status() {
                Some(status) => return Err(format!("{path} ended ({status}) before it served")),
                None => "closed the socket of its report".into(),
            },
            Ok(report) => {
                let failure = report.strip_prefix(READY).unwrap_or(&report);
                failure.strip_prefix(FAILED).unwrap_or(failure).to_owned()
            }
            Err(reason) => reason,
        };
        kill_unconfirmed();
        if let Some(child) = unconfirmed().take() {
            child.wait();
        }
        Err(format!("{path}: {reason}"))
    }

    fn start(&mut self) -> io::Result<(u32, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut sockets = vec![(REPORT, theirs.into())];
        sockets.append(&mut self.sockets);
        // Locked until the child is stored: `kill_unconfirmed` then misses no process.
        let mut unconfirmed = unconfirmed();
        let child = Child::spawn(&self.program, &sockets)?;
        let id = child.id();
        *unconfirmed = Some(child);
        Ok((id, ours))
    }

    /// Reads the whole report: the new process closes the socket after it. Without its end it counts
    /// when the time is over: the new process serves, and only its pid file may be missing.
    fn wait(&self, mut report: UnixStream) -> Result<String, String> {
        let started = Instant::now();
        let broken = |error: io::Error| format!("cannot read its report: {error}");
        report
            .set_read_timeout(Some(CANCEL_CHECK))
            .map_err(broken)?;
        let mut received = Vec::new();
        let mut timed_out = false;
        loop {
            match report.read_to_end(&mut received) {
                Ok(_) if received.is_empty() && timed_out => {
                    return Err(format!("does not serve after {:?}", self.timeout));
                }
                Ok(_) => return Ok(String::from_utf8_lossy(&received).into_owned()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => {}
                Err(error) => return Err(broken(error)),
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err("cancelled: the server shuts down".into());
            }
            if started.elapsed() > self.timeout {
                // A new process that has not reported yet cannot any more, and so does not replace the
                // pid file. One that has reported serves. The next read returns what has arrived.
                report.shutdown(Shutdown::Read).map_err(broken)?;
                timed_out = true;
            }
        }
    }
}

/// The status of a process that has closed its report, and so probably ends within moments.
fn exit_status() -> Option<Ended> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        let mut unconfirmed = unconfirmed();
        if let Some(ended) = unconfirmed.as_ref().and_then(Child::try_wait) {
            // Another process may get its id now.
            *unconfirmed = None;
            return Some(ended);
        }
        drop(unconfirmed);
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Lets the new process run on when this one ends.
pub(crate) fn release() {
    *unconfirmed() = None;
}

/// Kills a new process that has not replaced this one yet. Call it before this process ends: the new
/// one must not serve alone.
pub(crate) fn kill_unconfirmed() {
    if let Some(child) = unconfirmed().as_ref() {
        child.kill();
    }
}

fn unconfirmed() -> MutexGuard<'static, Option<Child>> {
    UNCONFIRMED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The result of an attempt whose time is over, and the socket of the new process.
    fn late(report: &str) -> (Result<String, String>, UnixStream) {
        let attempt = Attempt {
            program: Program::of_this_process().expect("a path"),
            sockets: Vec::new(),
            timeout: Duration::ZERO,
            cancelled: Arc::default(),
        };
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(report.as_bytes()).expect("room");
        (attempt.wait(ours), theirs)
    }

    #[test]
    fn a_process_that_has_reported_in_time_serves() {
        let (report, _open) = late(READY);
        assert_eq!(report.as_deref(), Ok(READY));
    }

    #[test]
    fn a_process_cannot_report_after_the_time() {
        let (report, mut theirs) = late("");
        let reason = report.expect_err("no report");
        assert!(reason.contains("does not serve after"), "{reason}");
        theirs.write_all(READY.as_bytes()).expect_err("closed");
    }
}
