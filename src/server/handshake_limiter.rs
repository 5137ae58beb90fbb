//! The handshakes that a worker has under way, and which gives way when there are too many.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    num::NonZeroUsize,
    task::{Context, Poll, Waker},
};

use super::log_rate_limiter::LogRateLimiter;
use crate::counters::Counters;

/// Bounds how many there are by giving up the oldest one.
///
/// To refuse the newest would hand the worker to whoever begins handshakes and lets them lie. Those
/// that mean it are done in a few round trips, and old ones are mostly of the other kind.
pub(super) struct HandshakeLimiter {
    limit: NonZeroUsize,
    next: Cell<u64>,
    under_way: RefCell<BTreeMap<u64, Option<Waker>>>,
    displaced: LogRateLimiter,
    /// Connections of proxies without a PROXY header.
    pub(super) unnamed: LogRateLimiter,
}

/// A place among them, given back when it is dropped.
pub(super) struct HandshakePermit<'a> {
    handshakes: &'a HandshakeLimiter,
    number: u64,
}

impl HandshakeLimiter {
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self {
            limit,
            next: Cell::new(0),
            under_way: RefCell::default(),
            displaced: LogRateLimiter::default(),
            unnamed: LogRateLimiter::default(),
        }
    }

    /// Takes a place, the oldest one's if there is none left.
    pub(super) fn begin(&self, counters: &Counters) -> HandshakePermit<'_> {
        let number = self.next.get();
        self.next.set(number + 1);
        let mut under_way = self.under_way.borrow_mut();
        under_way.insert(number, None);
        if under_way.len() > self.limit.get() {
            let oldest = under_way.pop_first();
            drop(under_way);
            counters.handshakes_displaced.add();
            if let Some(times) = self.displaced.happened() {
                let limit = self.limit;
                tracing::warn!(
                    limit,
                    times,
                    "too many handshakes at once, the oldest are given up"
                );
            }
            if let Some((_, Some(waker))) = oldest {
                waker.wake();
            }
        }
        HandshakePermit {
            handshakes: self,
            number,
        }
    }
}

impl HandshakePermit<'_> {
    /// Ready when another one has the place.
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut under_way = self.handshakes.under_way.borrow_mut();
        match under_way.get_mut(&self.number) {
            Some(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for HandshakePermit<'_> {
    fn drop(&mut self) {
        self.handshakes.under_way.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_places_come_back() {
        let counters = Counters::default();
        let taken = |place: &HandshakePermit<'_>| {
            let waker = Waker::noop();
            place.poll_taken(&mut Context::from_waker(waker)).is_ready()
        };
        let two = HandshakeLimiter::new(NonZeroUsize::MIN.saturating_add(1));
        let first = two.begin(&counters);
        let second = two.begin(&counters);
        assert!(!taken(&first));
        let third = two.begin(&counters);
        assert!(taken(&first));
        assert!(!taken(&second));
        drop(first);
        drop(third);
        let _fourth = two.begin(&counters);
        assert!(!taken(&second));
        assert_eq!(counters.read().handshakes_displaced, 1);
    }
}
