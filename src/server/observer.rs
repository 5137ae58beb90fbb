//! Reads the state of a running server from any thread.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{heartbeat::Heartbeat, shutdown::Shutdown, worker::WorkerInfo};
use crate::counters::{Counters, WorkerCounters};

/// Reads the state of a server from any thread without disturbing its workers. Made by
/// [`Handle::observer`](crate::Handle::observer); cheap to clone, and valid after the server has
/// stopped.
#[derive(Clone)]
pub struct Observer {
    backend: &'static str,
    workers: Arc<[ObservedWorker]>,
    stop: Shutdown,
}

pub(super) struct ObservedWorker {
    pub(super) info: WorkerInfo,
    pub(super) counters: Arc<Counters>,
    pub(super) heartbeat: Arc<Heartbeat>,
}

/// One worker and its counters.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Which worker.
    pub info: WorkerInfo,
    /// Its counters since it started.
    pub counters: WorkerCounters,
    /// The time since its last heartbeat, which a timer on its thread makes once a second. More than
    /// [`WORKER_STALLED`](crate::config::WORKER_STALLED) means that a handler blocks the thread. Zero
    /// after the worker has ended.
    pub since_heartbeat: Duration,
}

impl Observer {
    pub(super) fn new(backend: &'static str, workers: Vec<ObservedWorker>, stop: Shutdown) -> Self {
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
        self.workers.iter().map(|worker| WorkerStatus {
            info: worker.info,
            counters: worker.counters.read(),
            since_heartbeat: worker.heartbeat.age(),
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
