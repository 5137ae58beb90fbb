//! What the running server does on signals.

use std::{io, time::Duration};

use corelane::{Error, Handle};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::health::{HEALTH, State};

/// To be called before any thread starts: a signal is then never lost to the default action.
pub(crate) fn catch() -> io::Result<Signals> {
    Signals::new([SIGINT, SIGTERM])
}

/// Does what signals ask for until the server has ended. The first that asks for the end shuts it
/// down; a second one ends the process at once.
pub(crate) fn obey(mut signals: Signals, handle: Handle, deadline: Duration) -> Result<(), Error> {
    if let Some(signal) = signals.forever().next() {
        tracing::info!(signal, ?deadline, "shutting down");
        HEALTH.set(State::Draining);
        handle.shutdown(deadline);
    }
    let second = std::thread::Builder::new().spawn(move || {
        if let Some(signal) = signals.forever().next() {
            std::process::exit(128 + signal);
        }
    });
    if let Err(error) = second {
        tracing::warn!(%error, "a second signal will not be noticed");
    }
    handle.wait()
}
