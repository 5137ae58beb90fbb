//! Notifies systemd of the state of the process (`Type=notify`, `sd_notify(3)`). Does nothing if
//! systemd did not start the process.

use std::{
    env,
    fmt::Write,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::atomic::{AtomicBool, Ordering},
};

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
    let mut text = String::new();
    for state in states {
        // Writing to a String cannot fail. A line break would end the state.
        let _ = writeln!(text, "{}", state.to_string().replace('\n', "; "));
    }
    if let Err(error) = send(&text) {
        tracing::warn!(%error, "cannot notify the service manager ($NOTIFY_SOCKET)");
    }
}

/// As `sd_notify::notify`, which does not know abstract names: service managers in containers use
/// them.
fn send(text: &str) -> io::Result<()> {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => {
            let addr = SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(text.as_bytes(), &addr)?
        }
        None => socket.send_to(text.as_bytes(), path)?,
    };
    Ok(())
}
