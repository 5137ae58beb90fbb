//! Limits how often the same event is logged.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// The time between two lines about the same event. A peer can cause some events as often as it
/// likes and must not fill the log; the counters count every one.
const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct LogRateLimiter {
    last_logged: Cell<Option<Instant>>,
    not_logged: Cell<u64>,
}

impl LogRateLimiter {
    /// Call it for every event. `Some`: log the event now, with this number of events since the
    /// last line.
    pub(super) fn occurred(&self) -> Option<u64> {
        self.occurred_at(Instant::now())
    }

    fn occurred_at(&self, now: Instant) -> Option<u64> {
        let events = self.not_logged.get() + 1;
        let too_early = |logged| now.duration_since(logged) < INTERVAL;
        if self.last_logged.get().is_some_and(too_early) {
            self.not_logged.set(events);
            return None;
        }
        self.last_logged.set(Some(now));
        self.not_logged.set(0);
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_within_the_interval_are_counted_and_not_logged() {
        let limiter = LogRateLimiter::default();
        let begun = Instant::now();
        assert_eq!(limiter.occurred_at(begun), Some(1));
        for _ in 0..1_000 {
            assert_eq!(limiter.occurred_at(begun + INTERVAL / 2), None);
        }
        assert_eq!(limiter.occurred_at(begun + INTERVAL), Some(1_001));
        assert_eq!(limiter.occurred_at(begun + INTERVAL), None);
    }
}
