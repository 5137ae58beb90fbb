//! Handles the signals of a running server.

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use corelane::Handle;
use nix::sys::signal::Signal;
use signal_hook::{
    consts::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    iterator::Signals,
};

use crate::{
    Error, ListenAddr,
    health::{Health, HealthState},
    inherited::unix_path,
    outcome::{Request, Waiting},
    process::send_signal,
    protocol::{DRAINING, GIVEN, SERVING},
    systemd,
    timing::Timing,
    upgrade::{Attempt, DrainReport, Draining, Program, kill_unconfirmed, release},
};

/// Call it before any thread starts: otherwise a signal may still end the process.
pub(crate) fn catch_signals() -> io::Result<Signals> {
    // The access log registers for this signal later. Without an access log, and before that, the
    // signal must not end the process.
    signal_hook::flag::register(SIGUSR1, Arc::default())?;
    // A log at the limit on the size of files loses lines; the signal must not end the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGUSR2])
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
    pub(crate) given: Vec<ListenAddr>,
    /// Further sockets to hand over, by name.
    pub(crate) sockets: Vec<(&'static str, TcpListener)>,
    pub(crate) draining: Draining,
    pub(crate) timing: Timing,
}

/// An upgrade in progress.
struct Upgrading {
    cancelled: Arc<AtomicBool>,
    waiting: Waiting,
    drain_report: DrainReport,
}

impl EventLoop {
    /// Returns when the server has ended. The first SIGINT, SIGQUIT or SIGTERM shuts it down, a second
    /// one ends the process at once.
    pub(crate) fn run(self, signals: Signals) -> Result<(), Error> {
        let (events, received) = mpsc::channel();
        let from_signals = events.clone();
        thread::Builder::new()
            .name("corelane-signal".into())
            .spawn(move || forward(signals, &from_signals))
            .map_err(|error| Error::with_source("cannot start the signal thread", error))?;
        let mut upgrading: Option<Upgrading> = None;
        while let Ok(event) = received.recv() {
            match event {
                Event::Signal(SIGUSR2) => {
                    let waiting = Waiting::find(Request::Upgrade);
                    match &upgrading {
                        Some(_) => refuse_upgrade(waiting, "an upgrade is in progress"),
                        None => upgrading = self.upgrade(waiting, &events),
                    }
                }
                Event::Signal(signal) => {
                    if let Some(upgrading) = upgrading {
                        cancel_upgrade(upgrading, &received, signal);
                    }
                    return self.shut_down(signal, received);
                }
                Event::Upgraded(Ok(process)) => {
                    return self.hand_over_to(process, upgrading, received);
                }
                Event::Upgraded(Err(reason)) => {
                    if let Some(upgrading) = upgrading.take() {
                        upgrade_failed(upgrading.waiting, reason);
                    }
                }
            }
        }
        Ok(self.handle.wait()?)
    }

    fn upgrade(&self, waiting: Waiting, events: &mpsc::Sender<Event>) -> Option<Upgrading> {
        systemd::reloading("starting a new process");
        let cancelled = Arc::default();
        match self.start_upgrade(&cancelled, events) {
            Ok(drain_report) => Some(Upgrading {
                cancelled,
                waiting,
                drain_report,
            }),
            Err(reason) => {
                upgrade_failed(waiting, reason);
                None
            }
        }
    }

    /// By this name the new process gets a listening socket.
    fn name(&self, addr: Option<ListenAddr>) -> &'static str {
        match addr.is_some_and(|addr| self.given.contains(&addr)) {
            true => GIVEN,
            false => SERVING,
        }
    }

    /// Starts an upgrade on its own thread: meanwhile the loop obeys signals.
    fn start_upgrade(
        &self,
        cancelled: &Arc<AtomicBool>,
        events: &mpsc::Sender<Event>,
    ) -> Result<DrainReport, String> {
        if std::process::id() == 1 {
            return Err(
                "this is process 1: when it ends, the system ends all other processes, the new \
                 server among them; run it under an init process (docker run --init), or start a \
                 second server on a shared port (corelane --takeover, Builder::share_port)"
                    .into(),
            );
        }
        let failed = |error: io::Error| format!("cannot prepare its sockets: {error}");
        let (drain_report, reports) = DrainReport::pair().map_err(failed)?;
        let mut sockets = vec![(DRAINING, reports)];
        let before = self.draining.sockets().map_err(failed)?;
        sockets.extend(before.into_iter().map(|socket| (DRAINING, socket)));
        for listener in self.handle.listeners().map_err(|error| error.to_string())? {
            let addr = listener.local_addr().ok().map(ListenAddr::Tcp);
            sockets.push((self.name(addr), listener.into()));
        }
        for listener in self
            .handle
            .unix_listeners()
            .map_err(|error| error.to_string())?
        {
            let addr = unix_path(&listener).map(ListenAddr::Unix);
            sockets.push((self.name(addr), listener.into()));
        }
        for (name, socket) in &self.sockets {
            let socket = socket.try_clone().map_err(failed)?;
            sockets.push((name, socket.into()));
        }
        let attempt = Attempt {
            program: self.program.clone(),
            sockets,
            timeout: self.timing.upgrade_timeout(),
            cancelled: Arc::clone(cancelled),
        };
        let events = events.clone();
        thread::Builder::new()
            .name("corelane-upgrade".into())
            .spawn(move || {
                // The receiver is gone when the server shuts down.
                let _ = events.send(Event::Upgraded(attempt.run()));
            })
            .map(|_thread| drain_report)
            .map_err(|error| format!("cannot start the upgrade thread: {error}"))
    }

    /// The new process serves. This one answers what it has accepted.
    ///
    /// The health stays ready: `/readyz` is about the address, which the new process serves.
    fn hand_over_to(
        self,
        process: u32,
        upgrading: Option<Upgrading>,
        events: mpsc::Receiver<Event>,
    ) -> Result<(), Error> {
        release();
        systemd::replaced_by(process);
        if let Some(upgrading) = upgrading {
            upgraded(upgrading.waiting, process);
            upgrading.drain_report.start(self.handle.observer());
        }
        refuse_upgrades(
            events,
            format!("it drains, process {process} has replaced it"),
        );
        self.handle.hand_over(self.timing.shutdown_deadline());
        Ok(self.handle.wait()?)
    }

    fn shut_down(self, signal: i32, events: mpsc::Receiver<Event>) -> Result<(), Error> {
        let (delay, deadline) = (
            self.timing.shutdown_delay(),
            self.timing.shutdown_deadline(),
        );
        tracing::info!(signal, ?delay, ?deadline, "shutting down");
        self.health.set(HealthState::Draining);
        systemd::stopping("draining");
        refuse_upgrades(events, "it shuts down".into());
        thread::sleep(delay);
        self.handle.shutdown(deadline);
        Ok(self.handle.wait()?)
    }
}

/// Ends an upgrade that is in progress. When this returns, the new process has ended, or has been
/// sent `signal`.
fn cancel_upgrade(upgrading: Upgrading, events: &mpsc::Receiver<Event>, signal: i32) {
    upgrading.cancelled.store(true, Ordering::Relaxed);
    let waiting = upgrading.waiting;
    let outcome = events.iter().find_map(|event| match event {
        Event::Upgraded(outcome) => Some(outcome),
        Event::Signal(_) => None,
    });
    match outcome {
        // The upgrade was faster than the signal, so the signal goes to the new process too.
        Some(Ok(process)) => {
            upgraded(waiting, process);
            let sent = Signal::try_from(signal).and_then(|signal| send_signal(signal, process));
            if let Err(error) = sent {
                tracing::error!(process, %error, "cannot end the new process");
            }
        }
        Some(Err(reason)) => report_failure(waiting, reason),
        None => {}
    }
}

fn upgraded(waiting: Waiting, process: u32) {
    tracing::info!(process, "upgraded: the new process serves, this one drains");
    waiting.tell(&Ok(process.to_string()));
}

fn upgrade_failed(waiting: Waiting, reason: String) {
    systemd::reloaded(&format!("serving; the upgrade failed: {reason}"));
    report_failure(waiting, reason);
}

fn report_failure(waiting: Waiting, reason: String) {
    tracing::error!(reason, "the upgrade failed: this process goes on");
    waiting.tell(&Err(reason));
}

fn refuse_upgrade(waiting: Waiting, reason: &str) {
    tracing::warn!(reason, "SIGUSR2 is refused");
    waiting.tell(&Err(reason.into()));
}

/// Answers the signals of a server that ends, on a thread of its own. [`forward`] handles the second
/// SIGTERM.
fn refuse_upgrades(events: mpsc::Receiver<Event>, reason: String) {
    let refusing = thread::Builder::new()
        .name("corelane-draining".into())
        .spawn(move || {
            for event in events {
                match event {
                    Event::Signal(SIGUSR2) => {
                        refuse_upgrade(Waiting::find(Request::Upgrade), &reason);
                    }
                    Event::Signal(signal) => {
                        tracing::info!(
                            signal,
                            "the process drains: one more signal ends it at once"
                        );
                    }
                    Event::Upgraded(_) => {}
                }
            }
        });
    if let Err(error) = refusing {
        tracing::warn!(%error, "cannot start the thread that answers signals");
    }
}

/// Forwards signals as events. Ends the process at once at the second signal that shuts down.
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
