//! Shuts a running server down.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Shuts a server down, from any thread or task. Made by
/// [`Handle::shutdown_handle`](crate::Handle::shutdown_handle); cheap to clone, and without effect after
/// the server has stopped.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Stop accepting, send GOAWAY, finish the requests in flight.
    pub(super) drain: CancellationToken,
    /// Drop the connections that are left.
    pub(super) abort: CancellationToken,
    /// Set before `drain` if another server accepts from the same sockets: the connections that wait
    /// in the kernel are left to it.
    pub(super) skip_accept_backlog: Arc<AtomicBool>,
}

impl Shutdown {
    /// Does what [`Handle::shutdown`](crate::Handle::shutdown) does.
    pub fn start(&self, deadline: Duration) {
        self.drain.cancel();
        if deadline.is_zero() {
            self.abort.cancel();
            return;
        }
        let abort = self.abort.clone();
        let timer = thread::Builder::new().name("corelane-deadline".into());
        let spawned = timer.spawn(move || {
            thread::sleep(deadline);
            abort.cancel();
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot start the thread of the shutdown deadline, stopping now");
            self.abort.cancel();
        }
    }

    /// Does what [`Handle::hand_over`](crate::Handle::hand_over) does.
    pub fn hand_over(&self, deadline: Duration) {
        self.skip_accept_backlog.store(true, Ordering::Relaxed);
        self.start(deadline);
    }

    /// Whether the shutdown has started.
    pub fn is_started(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// A child per worker, so that workers do not share the lock of a token.
    pub(super) fn child(&self) -> Self {
        Self {
            drain: self.drain.child_token(),
            abort: self.abort.child_token(),
            skip_accept_backlog: Arc::clone(&self.skip_accept_backlog),
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("started", &self.is_started())
            .finish_non_exhaustive()
    }
}
