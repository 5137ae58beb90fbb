//! What the running server does on signals.

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

use corelane::{Error, Handle};
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::Signals,
};

use crate::{
    health::{HEALTH, State},
    restart::{self, GIVEN, Program, SERVING, Upgrade},
    service_manager,
};

/// To be called before any thread starts: a signal is then never lost to the default action.
pub(crate) fn catch() -> io::Result<Signals> {
    // For the access log, which comes to listen later. A signal for a log that is off, or not there
    // yet, must not end the process.
    signal_hook::flag::register(SIGUSR1, Arc::default())?;
    Signals::new([SIGINT, SIGTERM, SIGUSR2])
}

enum Event {
    Signal(i32),
    /// The process id of the one that serves from now on, or why there is none.
    Upgraded(Result<u32, String>),
}

/// A server, and what it needs to know to end and to be replaced.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) program: Program,
    /// Where those of its sockets listen that the service manager holds too.
    pub(crate) given: Vec<SocketAddr>,
    /// Sockets to be handed over beside the server's own, by name.
    pub(crate) sockets: Vec<(&'static str, TcpListener)>,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) shutdown_delay: Duration,
    pub(crate) shutdown_deadline: Duration,
}

impl Running {
    /// Does what signals ask for until the server has ended. The first that asks for the end shuts
    /// it down; a second one ends the process at once.
    pub(crate) fn obey(self, signals: Signals) -> Result<(), Error> {
        let (events, happened) = mpsc::channel();
        let from_signals = events.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || pass_on(signals, &from_signals))
            .map_err(|error| Error::config(format!("no thread to wait for signals: {error}")))?;
        let mut upgrading = None;
        while let Ok(event) = happened.recv() {
            match event {
                Event::Signal(SIGUSR2) if upgrading.is_some() => {
                    tracing::warn!("SIGUSR2: an upgrade is under way already");
                }
                Event::Signal(SIGUSR2) => {
                    service_manager::reloading("starting a new process");
                    let given_up = Arc::default();
                    match self.upgrade(&given_up, &events) {
                        Ok(()) => upgrading = Some(given_up),
                        Err(why) => upgrade_failed(why),
                    }
                }
                Event::Signal(signal) => {
                    if let Some(given_up) = upgrading {
                        give_up(&given_up, &happened, signal);
                    }
                    return self.end(signal);
                }
                Event::Upgraded(Ok(process)) => return self.give_way_to(process),
                Event::Upgraded(Err(why)) => {
                    upgrading = None;
                    upgrade_failed(why);
                }
            }
        }
        self.handle.wait()
    }

    /// Begins one, on a thread of its own: meanwhile signals are obeyed.
    fn upgrade(
        &self,
        given_up: &Arc<AtomicBool>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), String> {
        if std::process::id() == 1 {
            return Err(
                "this is process 1: when it ends all others do, the one that replaced it among \
                 them; run it beneath an init (docker run --init), or join it with --takeover"
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
        let upgrade = Upgrade {
            program: self.program.clone(),
            sockets,
            timeout: self.upgrade_timeout,
            given_up: Arc::clone(given_up),
        };
        let events = events.clone();
        thread::Builder::new()
            .name("upgrade".into())
            .spawn(move || {
                // Nobody listens any more where the server ends.
                let _ = events.send(Event::Upgraded(upgrade.run()));
            })
            .map(drop)
            .map_err(|error| format!("no thread to wait for the new process: {error}"))
    }

    /// What is asked of this process from now on is asked on connections that it has already.
    /// [`HEALTH`] stays as it is: who asks wants to know about the address, which is served.
    fn give_way_to(self, process: u32) -> Result<(), Error> {
        restart::trust();
        service_manager::replaced_by(process);
        restart::tell(&Ok(process));
        self.handle.hand_over(self.shutdown_deadline);
        self.handle.wait()
    }

    fn end(self, signal: i32) -> Result<(), Error> {
        let (delay, deadline) = (self.shutdown_delay, self.shutdown_deadline);
        tracing::info!(signal, ?delay, ?deadline, "shutting down");
        HEALTH.set(State::Draining);
        service_manager::stopping("draining");
        thread::sleep(delay);
        self.handle.shutdown(deadline);
        self.handle.wait()
    }
}

/// Ends an upgrade that is under way: when this returns the new process has ended, or has been told
/// to.
fn give_up(given_up: &AtomicBool, happened: &mpsc::Receiver<Event>, signal: i32) {
    given_up.store(true, Ordering::Relaxed);
    let outcome = happened.iter().find_map(|event| match event {
        Event::Upgraded(outcome) => Some(outcome),
        Event::Signal(_) => None,
    });
    match outcome {
        // It was faster. Whoever wants the server to end means that one too.
        Some(Ok(process)) => {
            restart::tell(&Ok(process));
            if let Err(error) = restart::pass_on(signal, process) {
                tracing::error!(process, %error, "the new process cannot be told to end");
            }
        }
        Some(Err(why)) => restart::tell(&Err(why)),
        None => {}
    }
}

fn upgrade_failed(why: String) {
    service_manager::reloaded(&format!("serving; the upgrade failed: {why}"));
    restart::tell(&Err(why));
}

/// Ends the process at the second signal that asks for it, whatever the first one has begun.
fn pass_on(mut signals: Signals, events: &mpsc::Sender<Event>) {
    let mut asked_to_end = false;
    for signal in signals.forever() {
        if signal != SIGUSR2 && std::mem::replace(&mut asked_to_end, true) {
            restart::kill_untrusted();
            std::process::exit(128 + signal);
        }
        // Nobody listens any more once the server is about to end.
        let _ = events.send(Event::Signal(signal));
    }
}
