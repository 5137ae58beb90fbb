//! Handles the signals of a running server.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use corelane::Handle;
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    iterator::Signals,
};

use crate::{
    Error,
    health::{Health, HealthState},
    protocol::{GIVEN, SERVING},
    systemd,
    upgrade::{Attempt, Program, kill_unconfirmed, notify_outcome, release, send_signal},
};

/// Call it before any thread starts: otherwise a signal may still end the process.
pub(crate) fn catch_signals() -> io::Result<Signals> {
    // The access log registers for this signal later. Without an access log, and before that, the
    // signal must not end the process.
    signal_hook::flag::register(SIGUSR1, Arc::default())?;
    // A log at the limit on the size of files loses lines; the signal must not end the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Signals::new([SIGINT, SIGTERM, SIGUSR2])
}

enum Event {
    Signal(i32),
    /// The process id of the new server, or why there is none.
    Upgraded(Result<u32, String>),
}

/// Obeys signals until the server has ended.
pub(crate) struct EventLoop {
    pub(crate) handle: Handle,
    pub(crate) program: Program,
    pub(crate) health: Health,
    /// The addresses of the server's sockets that the service manager holds too.
    pub(crate) given: Vec<SocketAddr>,
    /// Further sockets to hand over, by name.
    pub(crate) sockets: Vec<(&'static str, TcpListener)>,
    pub(crate) timing: Timing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) upgrade_timeout: Duration,
    pub(crate) shutdown_delay: Duration,
    pub(crate) shutdown_deadline: Duration,
}

impl EventLoop {
    /// Returns when the server has ended. The first SIGINT or SIGTERM shuts it down, a second one
    /// ends the process at once.
    pub(crate) fn run(self, signals: Signals) -> Result<(), Error> {
        let (events, received) = mpsc::channel();
        let from_signals = events.clone();
        thread::Builder::new()
            .name("corelane-signal".into())
            .spawn(move || forward(signals, &from_signals))
            .map_err(|error| Error::with_source("cannot start the signal thread", error))?;
        let mut upgrading = None;
        while let Ok(event) = received.recv() {
            match event {
                Event::Signal(SIGUSR2) if upgrading.is_some() => {
                    tracing::warn!("ignoring SIGUSR2: an upgrade is in progress");
                }
                Event::Signal(SIGUSR2) => {
                    systemd::reloading("starting a new process");
                    let cancelled = Arc::default();
                    match self.upgrade(&cancelled, &events) {
                        Ok(()) => upgrading = Some(cancelled),
                        Err(reason) => upgrade_failed(reason),
                    }
                }
                Event::Signal(signal) => {
                    if let Some(cancelled) = upgrading {
                        cancel_upgrade(&cancelled, &received, signal);
                    }
                    return self.shut_down(signal);
                }
                Event::Upgraded(Ok(process)) => return self.hand_over_to(process),
                Event::Upgraded(Err(reason)) => {
                    upgrading = None;
                    upgrade_failed(reason);
                }
            }
        }
        Ok(self.handle.wait()?)
    }

    /// Starts an upgrade on its own thread: meanwhile the loop obeys signals.
    fn upgrade(
        &self,
        cancelled: &Arc<AtomicBool>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), String> {
        if std::process::id() == 1 {
            return Err(
                "this is process 1: when it ends, the system ends all other processes, the new \
                 server among them; run it under an init process (docker run --init), or start a \
                 second server on a shared port (corelane --takeover, Builder::share_port)"
                    .into(),
            );
        }
        let mut sockets = Vec::new();
        for listener in self.handle.listeners().map_err(|error| error.to_string())? {
            let is_given = listener
                .local_addr()
                .is_ok_and(|addr| self.given.contains(&addr));
            sockets.push((if is_given { GIVEN } else { SERVING }, listener));
        }
        for (name, socket) in &self.sockets {
            sockets.push((name, socket.try_clone().map_err(|error| error.to_string())?));
        }
        let attempt = Attempt {
            program: self.program.clone(),
            sockets,
            timeout: self.timing.upgrade_timeout,
            cancelled: Arc::clone(cancelled),
        };
        let events = events.clone();
        thread::Builder::new()
            .name("corelane-upgrade".into())
            .spawn(move || {
                // The receiver is gone when the server shuts down.
                let _ = events.send(Event::Upgraded(attempt.run()));
            })
            .map(drop)
            .map_err(|error| format!("cannot start the upgrade thread: {error}"))
    }

    /// The new process serves. This one answers what it has accepted.
    ///
    /// The health stays ready: `/readyz` is about the address, which the new process serves.
    fn hand_over_to(self, process: u32) -> Result<(), Error> {
        release();
        systemd::replaced_by(process);
        notify_outcome(&Ok(process));
        self.handle.hand_over(self.timing.shutdown_deadline);
        Ok(self.handle.wait()?)
    }

    fn shut_down(self, signal: i32) -> Result<(), Error> {
        let (delay, deadline) = (self.timing.shutdown_delay, self.timing.shutdown_deadline);
        tracing::info!(signal, ?delay, ?deadline, "shutting down");
        self.health.set(HealthState::Draining);
        systemd::stopping("draining");
        thread::sleep(delay);
        self.handle.shutdown(deadline);
        Ok(self.handle.wait()?)
    }
}

/// Ends an upgrade that is in progress. When this returns, the new process has ended, or has been
/// sent `signal`.
fn cancel_upgrade(cancelled: &AtomicBool, events: &mpsc::Receiver<Event>, signal: i32) {
    cancelled.store(true, Ordering::Relaxed);
    let outcome = events.iter().find_map(|event| match event {
        Event::Upgraded(outcome) => Some(outcome),
        Event::Signal(_) => None,
    });
    match outcome {
        // The upgrade was faster than the signal, so the signal goes to the new process too.
        Some(Ok(process)) => {
            notify_outcome(&Ok(process));
            if let Err(error) = send_signal(signal, process) {
                tracing::error!(process, %error, "cannot end the new process");
            }
        }
        Some(Err(reason)) => notify_outcome(&Err(reason)),
        None => {}
    }
}

fn upgrade_failed(reason: String) {
    systemd::reloaded(&format!("serving; the upgrade failed: {reason}"));
    notify_outcome(&Err(reason));
}

/// Forwards signals as events. Ends the process at once at the second SIGINT or SIGTERM.
fn forward(mut signals: Signals, events: &mpsc::Sender<Event>) {
    let mut shutting_down = false;
    for signal in signals.forever() {
        if signal != SIGUSR2 && std::mem::replace(&mut shutting_down, true) {
            kill_unconfirmed();
            std::process::exit(128 + signal);
        }
        // The receiver is gone when the server shuts down.
        let _ = events.send(Event::Signal(signal));
    }
}
