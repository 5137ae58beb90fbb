//! Something that may happen a thousand times a second, told now and then.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// How long nothing more is said after a line: what a peer can make happen as often as it likes
/// must not fill the log. The counters have it all.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct LogRateLimiter {
    told: Cell<Option<Instant>>,
    untold: Cell<u64>,
}

impl LogRateLimiter {
    /// It has happened: how many times since that was last told, if it is time to tell.
    pub(super) fn happened(&self) -> Option<u64> {
        self.happened_at(Instant::now())
    }

    fn happened_at(&self, now: Instant) -> Option<u64> {
        let times = self.untold.get() + 1;
        let silent = |told| now.duration_since(told) < SILENCE;
        if self.told.get().is_some_and(silent) {
            self.untold.set(times);
            return None;
        }
        self.told.set(Some(now));
        self.untold.set(0);
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_once() {
        let burst = LogRateLimiter::default();
        let begun = Instant::now();
        assert_eq!(burst.happened_at(begun), Some(1));
        for _ in 0..1_000 {
            assert_eq!(burst.happened_at(begun + SILENCE / 2), None);
        }
        assert_eq!(burst.happened_at(begun + SILENCE), Some(1_001));
        assert_eq!(burst.happened_at(begun + SILENCE), None);
    }
}
