//! Reads the state of a running server from any thread.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use super::worker::{Stop, WorkerInfo};
use crate::counters::{Counters, WorkerCounters};

/// Reads the state of a server from any thread without disturbing its workers. Made by
/// [`Handle::observer`](crate::Handle::observer); cheap to clone, and valid after the server has
/// stopped.
#[derive(Clone)]
pub struct Observer {
    backend: &'static str,
    workers: Arc<[(WorkerInfo, Arc<Counters>)]>,
    stop: Stop,
}

/// One worker and its counters.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Which worker.
    pub info: WorkerInfo,
    /// Its counters since it started.
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

    /// The name of the TLS backend that the server started with
    /// ([`TlsAcceptor::backend`](crate::tls::TlsAcceptor::backend)).
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// The workers with their counters so far.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = WorkerStatus> {
        self.workers.iter().map(|(info, counters)| WorkerStatus {
            info: *info,
            counters: counters.read(),
        })
    }

    /// Whether the server is shutting down. A response without an end, such as an event stream, must
    /// end then, or it delays the shutdown until the deadline.
    pub fn is_shutting_down(&self) -> bool {
        self.stop.drain.is_cancelled()
    }

    /// Whether another server has taken over, by [`Handle::hand_over`](crate::Handle::hand_over).
    pub fn is_handed_over(&self) -> bool {
        self.stop.skip_accept_backlog.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("backend", &self.backend)
            .field("workers", &self.workers.len())
            .field("shutting_down", &self.is_shutting_down())
            .finish_non_exhaustive()
    }
}
