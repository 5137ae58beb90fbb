//! A new process for the server that runs: started with its sockets, and trusted when it has said
//! that it serves.

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

use super::{
    Program,
    inherited::{FAILED, READY, REPORT},
    outcome::{self, Outcome},
};

/// Where systemd's protocol has the first socket.
const FIRST: RawFd = 3;

/// How often it is looked whether the upgrade is to be given up.
const LOOK: Duration = Duration::from_millis(50);

/// The new process, until it is [`trust`]ed.
static STARTED: Mutex<Option<Child>> = Mutex::new(None);

/// One attempt.
pub(crate) struct Upgrade {
    pub(crate) program: Program,
    /// What the new process gets, by name.
    pub(crate) sockets: Vec<(&'static str, TcpListener)>,
    pub(crate) timeout: Duration,
    /// Set when the server is to end meanwhile.
    pub(crate) given_up: Arc<AtomicBool>,
}

impl Upgrade {
    /// Starts the new process and waits until it serves. If it does not, it is gone when this
    /// returns; if it does, it is to be [`trust`]ed.
    pub(crate) fn run(self) -> Outcome {
        let path = self.program.path().display().to_string();
        let (id, report) = self
            .start()
            .map_err(|error| format!("{path} cannot be started: {error}"))?;
        tracing::info!(process = id, path, "a new process was started");
        let why = match self.wait(report) {
            Ok(said) if said == READY => return Ok(id),
            Ok(said) if said.is_empty() => match ended_soon() {
                Some(status) => {
                    *started() = None;
                    return Err(format!("{path} ended ({status}) before it served"));
                }
                None => "closed the socket it was to report on".into(),
            },
            Ok(said) => {
                let said = said.strip_prefix(READY).unwrap_or(&said);
                said.strip_prefix(FAILED).unwrap_or(said).to_owned()
            }
            Err(why) => why,
        };
        kill_untrusted();
        if let Some(mut child) = started().take() {
            let _ = child.wait();
        }
        Err(format!("{path}: {why}"))
    }

    fn start(&self) -> io::Result<(u32, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut names = vec![REPORT];
        let mut handed = vec![OwnedFd::from(theirs)];
        for (name, socket) in &self.sockets {
            names.push(name);
            handed.push(socket.try_clone()?.into());
        }
        let count = handed.len();
        let mappings = (FIRST..)
            .zip(handed)
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
        let taken = take_up_to(FIRST + RawFd::try_from(count).map_err(io::Error::other)?)?;
        // Locked meanwhile: no process is started that could not be killed.
        let mut started = started();
        let child = command.spawn()?;
        drop(taken);
        let id = child.id();
        *started = Some(child);
        Ok((id, ours))
    }

    /// What it reports, all of it: it closes the socket when that is said.
    fn wait(&self, mut report: UnixStream) -> Result<String, String> {
        let begun = Instant::now();
        let broken = |error: io::Error| format!("cannot hear how it goes: {error}");
        report.set_read_timeout(Some(LOOK)).map_err(broken)?;
        let mut said = Vec::new();
        loop {
            match report.read_to_end(&mut said) {
                Ok(_) => return Ok(String::from_utf8_lossy(&said).into_owned()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => {}
                Err(error) => return Err(broken(error)),
            }
            if self.given_up.load(Ordering::Relaxed) {
                return Err("the server is to end".into());
            }
            if begun.elapsed() > self.timeout {
                return Err(format!("does not serve after {:?}", self.timeout));
            }
        }
    }
}

/// A process that has closed its last descriptor is about to end.
fn ended_soon() -> Option<std::process::ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        if let Some(Ok(Some(status))) = started().as_mut().map(Child::try_wait) {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Takes the numbers up to that one which are free: what is opened to hear of a program that cannot
/// be run would be among them, and be overwritten with a socket.
fn take_up_to(end: RawFd) -> io::Result<Vec<File>> {
    let mut taken = Vec::new();
    loop {
        let file = File::open("/dev/null")?;
        if file.as_raw_fd() >= end {
            return Ok(taken);
        }
        taken.push(file);
    }
}

/// From now on it goes on whatever becomes of this process.
pub(crate) fn trust() {
    *started() = None;
}

/// Before this process ends with an upgrade under way: the new one must not serve on its own.
pub(crate) fn kill_untrusted() {
    if let Some(child) = started().as_mut() {
        // It has ended already, otherwise.
        let _ = child.kill();
    }
}

fn started() -> MutexGuard<'static, Option<Child>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says how it went: in the log, and to whoever asked for it.
pub(crate) fn tell(outcome: &Outcome) {
    match outcome {
        Ok(process) => tracing::info!(process, "a new process serves, this one drains"),
        Err(why) => tracing::error!(why, "the upgrade failed, this process goes on"),
    }
    outcome::tell(outcome);
}
