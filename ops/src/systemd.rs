//! Notifies systemd of the state of the process (`Type=notify`, `sd_notify(3)`). Does nothing if
//! systemd did not start the process.

use std::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;

/// Whether another process is the service's main process now. systemd reports messages from this one
/// as faults.
static REPLACED: AtomicBool = AtomicBool::new(false);

pub(crate) fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// [`reloaded`] must follow.
pub(crate) fn reloading(status: &str) {
    let mut states = vec![NotifyState::Reloading, NotifyState::Status(status)];
    match NotifyState::monotonic_usec_now() {
        Ok(now) => states.push(now),
        Err(error) => tracing::warn!(%error, "cannot tell systemd when the reload began"),
    }
    notify(&states);
}

/// The same process goes on.
pub(crate) fn reloaded(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Makes `process` the service's main process. This process has to send the message: systemd
/// accepts it only from the present main process.
pub(crate) fn replaced_by(process: u32) {
    notify(&[
        NotifyState::MainPid(process),
        NotifyState::Ready,
        NotifyState::Status("serving, after an upgrade"),
    ]);
    REPLACED.store(true, Ordering::Relaxed);
}

pub(crate) fn is_replaced() -> bool {
    REPLACED.load(Ordering::Relaxed)
}

/// The watchdog begins to count again.
pub(crate) fn works() {
    notify(&[NotifyState::Watchdog]);
}

pub(crate) fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager ($NOTIFY_SOCKET)");
    }
}
