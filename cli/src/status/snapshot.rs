//! The numbers of the page at one moment.

use std::{sync::OnceLock, time::Instant};

use corelane::{Observer, WorkerStatus};
use serde::Serialize;

/// The source of the numbers: the server, once it runs.
#[derive(Default)]
pub(crate) struct Source(OnceLock<(Observer, Instant)>);

/// Only totals: every client can read them.
#[derive(Serialize)]
pub(super) struct Snapshot {
    pub(super) backend: &'static str,
    /// How long the server has run, milliseconds.
    pub(super) up: u64,
    pub(super) workers: Vec<Worker>,
}

#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Worker {
    pub(super) connections: u64,
    pub(super) in_flight: u64,
    pub(super) requests: u64,
    pub(super) tls_1_2: u64,
    pub(super) tls_1_3: u64,
    /// Handshakes completed without TLS, or with a version that the backend does not report.
    pub(super) no_tls: u64,
    pub(super) resumed: u64,
    pub(super) alpn_refused: u64,
    /// Handshakes that failed for other reasons.
    pub(super) failed: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Source {
    pub(crate) fn observe(&self, observer: Observer) {
        // Set once: the process has one server.
        let _ = self.0.set((observer, Instant::now()));
    }

    /// `None` before the server runs and while it shuts down.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let (observer, started) = self.0.get()?;
        if observer.is_shutting_down() {
            return None;
        }
        Some(Snapshot {
            backend: observer.backend(),
            up: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            workers: observer.workers().map(Worker::from).collect(),
        })
    }
}

impl From<WorkerStatus> for Worker {
    fn from(status: WorkerStatus) -> Self {
        let it = status.counters;
        // The counters change while they are read: a part may exceed the whole.
        let rest = |whole: u64, parts: &[u64]| {
            let rest = |rest: u64, part: &u64| rest.saturating_sub(*part);
            parts.iter().fold(whole, rest)
        };
        Self {
            connections: it.connections_open(),
            in_flight: it.requests_in_flight(),
            requests: it.requests,
            tls_1_2: it.handshakes_tls_1_2,
            tls_1_3: it.handshakes_tls_1_3,
            no_tls: rest(
                it.handshakes_completed,
                &[it.handshakes_tls_1_2, it.handshakes_tls_1_3],
            ),
            resumed: it.sessions_resumed,
            alpn_refused: it.alpn_refused,
            failed: rest(it.handshakes_failed, &[it.alpn_refused]),
            sent: it.bytes_sent,
            received: it.bytes_received,
        }
    }
}

impl std::iter::Sum for Worker {
    fn sum<I: Iterator<Item = Self>>(workers: I) -> Self {
        workers.fold(Self::default(), |all, one| Self {
            connections: all.connections + one.connections,
            in_flight: all.in_flight + one.in_flight,
            requests: all.requests + one.requests,
            tls_1_2: all.tls_1_2 + one.tls_1_2,
            tls_1_3: all.tls_1_3 + one.tls_1_3,
            no_tls: all.no_tls + one.no_tls,
            resumed: all.resumed + one.resumed,
            alpn_refused: all.alpn_refused + one.alpn_refused,
            failed: all.failed + one.failed,
            sent: all.sent + one.sent,
            received: all.received + one.received,
        })
    }
}
