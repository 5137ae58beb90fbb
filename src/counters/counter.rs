//! One counter.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Only the thread of one worker writes it, so that counting needs no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add_many(&self, n: usize) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(n as u64), Relaxed);
    }
}
