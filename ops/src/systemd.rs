//! What systemd is told where it started this process (`Type=notify`): `sd_notify(3)`. Nothing
//! elsewhere.

use sd_notify::NotifyState;

pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Before something that ends with [`reloaded`].
pub(crate) fn reloading(what: &str) {
    let mut states = vec![NotifyState::Reloading, NotifyState::Status(what)];
    match NotifyState::monotonic_usec_now() {
        Ok(now) => states.push(now),
        Err(error) => tracing::warn!(%error, "systemd cannot be told when the reload began"),
    }
    tell(&states);
}

/// The same process goes on.
pub(crate) fn reloaded(how: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(how)]);
}

/// Another process is the service from now on. It cannot say so itself: systemd listens to the one
/// it knows.
pub(crate) fn replaced_by(process: u32) {
    tell(&[
        NotifyState::MainPid(process),
        NotifyState::Ready,
        NotifyState::Status("serving, after an upgrade"),
    ]);
}

pub(crate) fn stopping(how: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(how)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told ($NOTIFY_SOCKET)");
    }
}
