//! The process of an upgrade, until the server lets it run on.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    fmt, io,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
};

use nix::{
    errno::Errno,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::program::Program;

/// The first descriptor of a socket in systemd's protocol.
const FIRST_FD: RawFd = 3;

pub(super) struct Child(Pid);

impl Child {
    /// Starts the program with these sockets, by systemd's protocol.
    ///
    /// Not by [`std::process::Command`]: to place the sockets it would call `execvp`, which gives a
    /// file that is no program (ENOEXEC) to `/bin/sh`, as if it were a script.
    pub(super) fn spawn(program: &Program, sockets: &[(&str, OwnedFd)]) -> io::Result<Self> {
        let end = FIRST_FD + RawFd::try_from(sockets.len()).map_err(io::Error::other)?;
        let mut actions = PosixSpawnFileActions::init()?;
        let mut moved = Vec::new();
        for ((_, socket), fd) in sockets.iter().zip(FIRST_FD..) {
            let socket = duplicate_from(socket, end)?;
            actions.add_dup2(socket.as_raw_fd(), fd)?;
            moved.push(socket);
        }
        let mut attributes = PosixSpawnAttr::init()?;
        // As the standard library does it.
        let mut ignored = SigSet::empty();
        ignored.add(Signal::SIGPIPE);
        attributes.set_sigdefault(&ignored)?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;
        let arguments = program.arguments()?;
        let environment = environment(sockets.iter().map(|(name, _)| *name))?;
        let spawned = posix_spawn(
            program.path(),
            &actions,
            &attributes,
            &arguments,
            &environment,
        );
        match spawned {
            Ok(process) => Ok(Self(process)),
            Err(Errno::ENOEXEC) => Err(io::Error::other(
                "it is damaged, or a program for another machine (Exec format error)",
            )),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn id(&self) -> u32 {
        // Process ids are positive.
        self.0.as_raw().unsigned_abs()
    }

    pub(super) fn kill(&self) {
        // Fails only if it has ended.
        let _ = kill(self.0, Signal::SIGKILL);
    }

    pub(super) fn wait(&self) {
        // Fails only if another part of this program has waited for it.
        while waitpid(self.0, None) == Err(Errno::EINTR) {}
    }

    /// `None` while it runs.
    pub(super) fn try_wait(&self) -> Option<Ended> {
        match waitpid(self.0, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
            Ok(status) => Some(Ended(Some(status))),
            Err(_) => Some(Ended(None)),
        }
    }
}

/// How a process has ended.
pub(super) struct Ended(Option<WaitStatus>);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(WaitStatus::Exited(_, status)) => write!(f, "exit status: {status}"),
            Some(WaitStatus::Signaled(_, signal, _)) => write!(f, "signal: {signal}"),
            _ => f.write_str("unknown exit status"),
        }
    }
}

/// Duplicates the descriptor to one that is `least` or higher: the new process overwrites those below.
fn duplicate_from(socket: &OwnedFd, least: RawFd) -> io::Result<OwnedFd> {
    // Duplicates that are too low are kept until the end, so that the next one is higher.
    let mut low = Vec::new();
    loop {
        let duplicate = socket.try_clone()?;
        if duplicate.as_raw_fd() >= least {
            return Ok(duplicate);
        }
        low.push(duplicate);
    }
}

/// The environment of this process, with the variables for these sockets.
fn environment<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> io::Result<Vec<CString>> {
    let own = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
    let variables = env::vars_os().filter(|(name, _)| own.iter().all(|own| name != own));
    let count = names.len().to_string();
    let names: Vec<_> = names.collect();
    let added = [
        ("LISTEN_FDS", OsString::from(count)),
        ("LISTEN_FDNAMES", names.join(":").into()),
    ];
    let added = added.map(|(name, value)| (OsString::from(name), value));
    let variables = variables.chain(added).map(|(name, value)| {
        let parts: [&OsStr; 3] = [&name, OsStr::new("="), &value];
        CString::new(parts.map(OsStr::as_bytes).concat())
    });
    Ok(variables.collect::<Result<_, _>>()?)
}
