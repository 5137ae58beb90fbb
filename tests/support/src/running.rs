//! How many handlers run.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// Handlers that are running, and how many there were at most.
#[derive(Default)]
pub struct Running {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Running {
    pub fn now(&self) -> usize {
        self.now.load(SeqCst)
    }

    pub fn most(&self) -> usize {
        self.most.load(SeqCst)
    }
}

/// Held by a handler for as long as it lives.
pub struct Run(Arc<Running>);

impl Run {
    pub fn begin(running: &Arc<Running>) -> Self {
        let now = running.now.fetch_add(1, SeqCst) + 1;
        running.most.fetch_max(now, SeqCst);
        Self(Arc::clone(running))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}
