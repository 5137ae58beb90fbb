//! Which upstreams failed lately. The workers share it.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::upstream::Upstream;

/// The health of one upstream, by what its connections did.
pub(super) struct Health {
    begun: Instant,
    /// Failures in a row.
    failures: AtomicU32,
    /// When it may be used again, by [`now`](Self::now); 0: it is up.
    down_until: AtomicU64,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            failures: AtomicU32::new(0),
            down_until: AtomicU64::new(0),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        match self.down_until.load(Ordering::Relaxed) {
            0 => true,
            until => self.now() >= until,
        }
    }

    pub(super) fn succeeded(&self, upstream: &Upstream) {
        // Mostly there is nothing to write, so that the workers do not take the cache line from each
        // other.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            if self.down_until.swap(0, Ordering::Relaxed) != 0 {
                tracing::info!(%upstream, "the upstream answers again");
            }
        }
    }

    /// After `most` failures in a row, each further one takes the upstream out for `time`.
    pub(super) fn failed(&self, upstream: &Upstream, most: u32, time: Duration) {
        let failures = self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if failures < most {
            return;
        }
        let until = self.now().saturating_add(millis(time));
        if self.down_until.swap(until, Ordering::Relaxed) == 0 {
            tracing::warn!(%upstream, failures, ?time, "the upstream fails and is not used for a time");
        }
    }

    /// Never 0.
    fn now(&self) -> u64 {
        millis(self.begun.elapsed()).saturating_add(1)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_is_out_after_failures_in_a_row_and_for_a_time() {
        let upstream: Upstream = "http://localhost:1".parse().expect("an upstream");
        let health = Health::new();
        let fail = |time| health.failed(&upstream, 3, time);
        fail(Duration::MAX);
        fail(Duration::MAX);
        health.succeeded(&upstream);
        fail(Duration::MAX);
        fail(Duration::MAX);
        assert!(health.is_up());
        fail(Duration::MAX);
        assert!(!health.is_up());
        fail(Duration::ZERO);
        assert!(health.is_up(), "the time is over");
        fail(Duration::MAX);
        assert!(!health.is_up(), "one more failure is enough");
        health.succeeded(&upstream);
        assert!(health.is_up());
    }
}
