//! How a request's body comes in: watched where the response is made, as the body itself may be
//! anywhere and has no timer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use super::connection::Scope;
use crate::time::LeastRate;

/// The body's end of it.
#[derive(Clone, Default)]
pub(super) struct Arrival(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Somebody waits for more of the body.
    waiting: AtomicBool,
    received: AtomicU64,
}

impl Arrival {
    pub(super) fn waits(&self) {
        self.0.waiting.store(true, Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        let before = self.0.received.load(Relaxed);
        self.0.received.store(before + bytes as u64, Relaxed);
        self.0.waiting.store(false, Relaxed);
    }

    /// Nobody will wait any more.
    pub(super) fn ended(&self) {
        self.0.waiting.store(false, Relaxed);
    }
}

/// The response's end of it.
pub(super) struct Watch {
    arrival: Arrival,
    seen: u64,
    rate: LeastRate,
}

impl Watch {
    pub(super) fn new(arrival: Arrival, scope: &Scope) -> Self {
        Self {
            arrival,
            seen: 0,
            rate: LeastRate::new(scope.timer, scope.limits.body, scope.limits.min_rate),
        }
    }

    /// Ready once the body has kept its handler waiting for too long.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let received = self.arrival.0.received.load(Relaxed);
        let more = received.saturating_sub(self.seen);
        self.seen = received;
        self.rate.moved(usize::try_from(more).unwrap_or(usize::MAX));
        match self.arrival.0.waiting.load(Relaxed) {
            true => self.rate.poll_waiting(cx),
            false => {
                self.rate.pause();
                Poll::Pending
            }
        }
    }
}
