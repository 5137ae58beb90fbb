//! A look at a running server from elsewhere.

use std::sync::{Arc, atomic::Ordering};

use super::worker::{Stop, WorkerInfo};
use crate::counters::{Counters, WorkerCounters};

/// Looks at a running server from any thread, without touching its workers: made by
/// [`Handle::observer`](crate::Handle::observer), cheap to clone, of use for as long as one likes.
#[derive(Clone)]
pub struct Observer {
    backend: &'static str,
    workers: Arc<[(WorkerInfo, Arc<Counters>)]>,
    stop: Stop,
}

/// One worker and what it has done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Which worker.
    pub info: WorkerInfo,
    /// What it has done since it started.
    pub counters: WorkerCounters,
}

impl Observer {
    pub(super) fn new(
        backend: &'static str,
        workers: Vec<(WorkerInfo, Arc<Counters>)>,
        stop: Stop,
    ) -> Self {
        Self {
            backend,
            workers: workers.into(),
            stop,
        }
    }

    /// The TLS backend's name, [`TlsAcceptor::backend`](crate::tls::TlsAcceptor::backend), as it was at
    /// the start.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// What each worker has done so far.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = WorkerStatus> {
        self.workers.iter().map(|(info, counters)| WorkerStatus {
            info: *info,
            counters: counters.read(),
        })
    }

    /// Whether the server has been told to shut down. A response that never ends of itself has to
    /// end by this, or it keeps the server until the deadline.
    pub fn is_shutting_down(&self) -> bool {
        self.stop.drain.is_cancelled()
    }

    /// Whether that was by [`Handle::hand_over`](crate::Handle::hand_over): another server has taken
    /// over.
    pub fn is_handed_over(&self) -> bool {
        self.stop.skip_accept_backlog.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("backend", &self.backend)
            .field("workers", &self.workers().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
