//! The life of a server process, from its start to its end or its replacement.

use std::{error::Error as StdError, fmt, net::TcpListener, path::PathBuf, time::Duration};

use corelane::{Builder, Chain, Handle};
use signal_hook::{consts::SIGHUP, iterator::Signals};

#[cfg(feature = "access-log")]
use crate::access_log::{AccessLog, AccessLogLayer};
use crate::{
    Error, ListenAddr,
    event_loop::{EventLoop, catch_signals},
    health::{Health, HealthState},
    inherited::Inherited,
    pid_file::PidFile,
    reload::{Reload, refuse_reloads},
    reload_status::ReloadStatus,
    systemd,
    timing::Timing,
    upgrade::{Draining, Program},
    watchdog,
};
#[cfg(feature = "admin")]
use crate::{
    admin::{Admin, AdminEnd, AdminStart},
    protocol::ADMIN,
};

/// A server process: its signals, its sockets, and its replacement by a new process.
///
/// 1. [`Lifecycle::new`] catches signals. Call it before any thread starts.
/// 2. [`Lifecycle::start`] runs a closure that starts the server, and then announces that the process
///    serves: to the process that it replaces, by the pid file, and to systemd.
/// 3. [`Running::wait`] obeys signals until the server has ended.
///
/// | signal | what happens |
/// |---|---|
/// | SIGINT, SIGTERM, SIGQUIT | the server stops accepting and answers requests in flight; a second one ends the process at once with exit status 128 + signal |
/// | SIGHUP | [`on_reload`](Self::on_reload); the access log opens its file again |
/// | SIGUSR1 | the access log opens its file again |
/// | SIGUSR2 | a new process of the same program takes the listening sockets; when it serves, this one answers what it has accepted and ends |
///
/// The crate's front page has an example.
pub struct Lifecycle {
    inherited: Inherited,
    signals: Signals,
    hangups: Signals,
    program: Program,
    health: Health,
    timing: Timing,
    takeover: bool,
    pid_file: Option<PidFile>,
    reload: Option<Reload>,
    reload_status: ReloadStatus,
    draining: Draining,
    sockets: Vec<(&'static str, TcpListener)>,
    #[cfg(feature = "admin")]
    admin: Vec<AdminStart>,
    #[cfg(feature = "admin")]
    admin_ends: Vec<AdminEnd>,
    /// Inherited sockets of admin ports: the server must not listen on them.
    #[cfg(feature = "admin")]
    admin_sockets: Vec<TcpListener>,
    #[cfg(feature = "access-log")]
    access_log: Vec<AccessLog>,
}

impl Lifecycle {
    /// How long a new process may take until it serves, by default: 30 s.
    pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Catches signals and remembers how this process was started, to start it again for an upgrade.
    ///
    /// Call it before any thread starts and before the working directory changes.
    ///
    /// # Errors
    ///
    /// When signals cannot be caught, or the path of this program is unknown. The error is reported to
    /// the server that this process replaces.
    pub fn new(mut inherited: Inherited) -> Result<Self, Error> {
        let prepared = prepare().inspect_err(|error| inherited.report_failure(Chain(error)));
        let (signals, hangups, program) = prepared?;
        #[cfg(feature = "admin")]
        let admin_sockets = inherited.take_named(ADMIN);
        Ok(Self {
            inherited,
            signals,
            hangups,
            program,
            health: Health::new(),
            timing: Timing::new(Self::UPGRADE_TIMEOUT),
            takeover: false,
            pid_file: None,
            reload: None,
            reload_status: ReloadStatus::default(),
            draining: Draining::default(),
            sockets: Vec::new(),
            #[cfg(feature = "admin")]
            admin: Vec::new(),
            #[cfg(feature = "admin")]
            admin_ends: Vec::new(),
            #[cfg(feature = "admin")]
            admin_sockets,
            #[cfg(feature = "access-log")]
            access_log: Vec::new(),
        })
    }

    /// How long a new process may take, after SIGUSR2, until it serves. Then it is ended and this
    /// process goes on. Default: [`UPGRADE_TIMEOUT`](Self::UPGRADE_TIMEOUT).
    pub fn upgrade_timeout(self, timeout: Duration) -> Self {
        self.timing.set_upgrade_timeout(timeout);
        self
    }

    /// How long `/readyz` answers 503 before SIGINT, SIGTERM or SIGQUIT shuts the server down, so that
    /// load balancers notice. Default: 0.
    pub fn shutdown_delay(self, delay: Duration) -> Self {
        self.timing.set_shutdown_delay(delay);
        self
    }

    /// How long requests in flight may take after SIGINT, SIGTERM, SIGQUIT or an upgrade. Then
    /// they are dropped. Default: [`SHUTDOWN_DEADLINE`](corelane::config::SHUTDOWN_DEADLINE).
    pub fn shutdown_deadline(self, deadline: Duration) -> Self {
        self.timing.set_shutdown_deadline(deadline);
        self
    }

    /// The times above, for a reload to change them.
    pub fn timing(&self) -> Timing {
        self.timing.clone()
    }

    /// Sets whether the server joins another one on a shared port
    /// ([`Builder::share_port`](corelane::Builder::share_port)), to take over from it: the pid file
    /// may then name that server. Default: false.
    pub fn takeover(mut self, takeover: bool) -> Self {
        self.takeover = takeover;
        self
    }

    /// The inherited sockets, without those of admin ports.
    pub fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    /// The health of this process, for a handler of `/healthz` and `/readyz`.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Makes the server listen on `addrs`, on inherited sockets where they fit:
    /// [`Inherited::listen`].
    ///
    /// # Errors
    ///
    /// When an inherited socket is neither a listening TCP socket nor a Unix socket.
    pub fn listen(
        &mut self,
        builder: Builder,
        addrs: impl IntoIterator<Item = impl Into<ListenAddr>>,
    ) -> Result<Builder, Error> {
        self.inherited.listen(builder, addrs)
    }

    /// Writes the process id to this file once the process serves, and removes the file at the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or names another running process of this program that this
    /// one does not replace.
    pub fn pid_file(&mut self, path: impl Into<PathBuf>) -> Result<(), Error> {
        let replaces = self.takeover || self.inherited.replaces_server();
        self.pid_file = Some(PidFile::prepare(path, replaces)?);
        Ok(())
    }

    /// Reloads on SIGHUP, and when watched files change. Without it SIGHUP is ignored. The admin port
    /// shows the result of the last reload.
    pub fn on_reload(&mut self, reload: Reload) {
        self.reload = Some(reload);
    }

    /// Opens the admin port, or takes it from the server that this process replaces. It answers when
    /// the server runs. Returns its address.
    ///
    /// # Errors
    ///
    /// When the port cannot be opened, or its thread cannot start.
    #[cfg(feature = "admin")]
    pub fn admin(&mut self, admin: Admin) -> Result<std::net::SocketAddr, Error> {
        let (status, draining) = (self.reload_status.clone(), self.draining.clone());
        let admin = admin.health(self.health.clone()).record(move || {
            status.record();
            draining.record();
        });
        let (start, socket, addr) = admin.prepare(&mut self.admin_sockets)?;
        self.admin.push(start);
        self.sockets.push((ADMIN, socket));
        Ok(addr)
    }

    /// Writes an access log until the server has ended. SIGHUP and SIGUSR1 open its file again.
    /// Returns the layer to put around the service.
    ///
    /// # Errors
    ///
    /// When the signals cannot be caught.
    #[cfg(feature = "access-log")]
    pub fn access_log(&mut self, log: AccessLog) -> Result<AccessLogLayer, Error> {
        log.reopen_on_signals()
            .map_err(|error| Error::with_source("cannot catch SIGHUP and SIGUSR1", error))?;
        let layer = log.layer();
        self.access_log.push(log);
        Ok(layer)
    }

    /// Runs `start`, which starts the server, and then announces that this process serves.
    ///
    /// # Errors
    ///
    /// The errors of `start`. Further, when the server that this process was to replace has given up.
    /// The error is reported to that server, which goes on. And when the pid file cannot be put in its
    /// place; for a process that replaces another one this is a warning in the log.
    pub fn start<F>(mut self, start: F) -> Result<Running, Box<dyn StdError>>
    where
        F: FnOnce(&mut Self) -> Result<Handle, Box<dyn StdError>>,
    {
        let announced = start(&mut self).and_then(|handle| match self.announce(&handle) {
            Ok(()) => Ok(handle),
            Err(error) => {
                match self.inherited.replaces_server() {
                    // The other server accepts from the same sockets.
                    true => handle.hand_over(Duration::ZERO),
                    false => handle.shutdown(Duration::ZERO),
                }
                Err(error.into())
            }
        });
        let handle =
            announced.inspect_err(|error| self.inherited.report_failure(Chain(&**error)))?;
        self.draining.watch(self.inherited.take_draining());
        let reloads = match self.reload {
            Some(reload) => reload.start(self.hangups, self.reload_status, handle.observer()),
            None => refuse_reloads(self.hangups),
        };
        if let Err(error) = reloads {
            tracing::error!(%error, "cannot start the reload thread: SIGHUP has no effect");
        }
        Ok(Running {
            signals: self.signals,
            pid_file: self.pid_file,
            #[cfg(feature = "admin")]
            admin: self.admin_ends,
            #[cfg(feature = "access-log")]
            access_log: self.access_log,
            event_loop: EventLoop {
                handle,
                program: self.program,
                health: self.health,
                given: self.inherited.given_addrs().to_vec(),
                sockets: self.sockets,
                draining: self.draining,
                timing: self.timing,
            },
        })
    }

    fn announce(&mut self, handle: &Handle) -> Result<(), Error> {
        self.health.observe(handle.observer());
        self.health.set(HealthState::Ready);
        #[cfg(feature = "admin")]
        for admin in self.admin.drain(..) {
            self.admin_ends.push(admin.observe(handle.observer()));
        }
        let replaces_server = self.inherited.replaces_server();
        watchdog::start(self.health.clone(), replaces_server)
            .map_err(|error| Error::with_source("cannot start the watchdog thread", error))?;
        self.inherited.report_ready()?;
        let published = self.pid_file.as_ref().map_or(Ok(()), PidFile::publish);
        match published {
            // The replaced server may have handed over already: this one must serve.
            Err(error) if replaces_server => {
                let error = Chain(&error);
                tracing::warn!(%error, "the pid file does not name this process");
            }
            published => published?,
        }
        self.inherited.end_report();
        if !replaces_server {
            systemd::ready();
        }
        Ok(())
    }
}

fn prepare() -> Result<(Signals, Signals, Program), Error> {
    let caught = catch_signals().and_then(|signals| Ok((signals, Signals::new([SIGHUP])?)));
    let (signals, hangups) =
        caught.map_err(|error| Error::with_source("cannot catch signals", error))?;
    Ok((signals, hangups, Program::of_this_process()?))
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("inherited", &self.inherited)
            .field("health", &self.health.state())
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// A process that serves: made by [`Lifecycle::start`]. Dropping it ends nothing but removes the pid
/// file.
#[must_use = "signals are obeyed by `wait`"]
pub struct Running {
    event_loop: EventLoop,
    signals: Signals,
    pid_file: Option<PidFile>,
    #[cfg(feature = "admin")]
    admin: Vec<AdminEnd>,
    #[cfg(feature = "access-log")]
    access_log: Vec<AccessLog>,
}

impl Running {
    /// The server.
    pub fn handle(&self) -> &Handle {
        &self.event_loop.handle
    }

    /// Obeys signals until the server has ended, then writes the rest of the access log and removes
    /// the pid file.
    ///
    /// A second SIGINT, SIGTERM or SIGQUIT does not return: it ends the process.
    ///
    /// # Errors
    ///
    /// When a worker of the server panicked.
    pub fn wait(self) -> Result<(), Error> {
        #[cfg(feature = "admin")]
        let server = self.handle().observer();
        let ended = self.event_loop.run(self.signals);
        // Without a hand-over the port is open until the process ends.
        #[cfg(feature = "admin")]
        if server.is_handed_over() {
            self.admin.into_iter().for_each(AdminEnd::wait);
        }
        #[cfg(feature = "access-log")]
        self.access_log.into_iter().for_each(AccessLog::finish);
        drop(self.pid_file);
        ended
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("local_addrs", &self.handle().local_addrs())
            .field("pid_file", &self.pid_file)
            .finish_non_exhaustive()
    }
}
