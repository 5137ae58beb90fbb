//! Shows other threads that a worker runs: its timer writes the time once a second.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::config::HEARTBEAT;

/// The value of a worker that has ended: it can no longer be stalled.
const ENDED: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Heartbeat {
    begin: Instant,
    /// The last beat, milliseconds after `begin`.
    last: AtomicU64,
}

impl Heartbeat {
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    /// Beats until it is dropped. Must run inside the runtime of the worker: whatever holds up its
    /// thread holds up the beats.
    pub(super) async fn run(&self) {
        loop {
            self.last.store(self.now(), Ordering::Relaxed);
            monoio::time::sleep(HEARTBEAT).await;
        }
    }

    pub(super) fn end(&self) {
        self.last.store(ENDED, Ordering::Relaxed);
    }

    /// The time since the last beat; zero after the end.
    pub(super) fn age(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(last))
    }

    fn now(&self) -> u64 {
        // 64 bits of milliseconds last longer than the process.
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(ENDED - 1)
    }
}
