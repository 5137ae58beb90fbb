//! Limits a rate by a token bucket.

use std::time::{Duration, Instant};

/// The period of all flood limits. A slow drip is no flood.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// The peer takes tokens; its requests and time put them back, but never more than were taken.
pub(super) struct TokenBucket {
    /// Tokens that time puts back within a [`PERIOD`]. A peer that takes more in one is a flood.
    per_period: u32,
    /// Tokens that may be taken at once.
    burst: u32,
    /// Tokens taken since `since`, and not put back by requests.
    taken: u32,
    since: Instant,
    /// The value of `taken` up to which the clock is not read.
    allowed: u32,
}

/// More than harmless clients take at once: they reset each stream that a browser may open, change
/// its priority and open its window.
const BURST: u32 = 1_000;

impl TokenBucket {
    /// With a limit of a burst or less nothing is ever delayed: it is a flood at once.
    pub(super) fn new(per_period: u32) -> Self {
        let burst = per_period.min(BURST.max(per_period / 10));
        Self {
            per_period,
            burst,
            taken: 0,
            since: Instant::now(),
            allowed: burst,
        }
    }

    pub(super) fn take(&mut self, n: u32) {
        self.taken = self.taken.saturating_add(n);
    }

    /// Tokens beyond those taken are lost.
    pub(super) fn put_back(&mut self, n: u32) {
        self.taken = self.taken.saturating_sub(n);
        self.allowed = self.allowed.saturating_sub(n).max(self.burst);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken > self.allowed
    }

    pub(super) fn is_flood(&self) -> bool {
        self.taken > self.per_period
    }

    /// Puts back tokens for the time that has passed. Returns how long the peer has to wait if the
    /// bucket is still empty.
    pub(super) fn refill(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since).as_millis();
        let refilled = u128::from(self.per_period) * elapsed / PERIOD.as_millis();
        match u32::try_from(refilled) {
            Ok(refilled) if refilled < self.taken => {
                self.allowed = refilled.saturating_add(self.burst);
            }
            _ => {
                self.taken = 0;
                self.since = now;
                self.allowed = self.burst;
            }
        }
        if !self.is_empty() {
            return None;
        }
        // A tenth more, so that the peer can do something when the wait is over.
        let wanted = self.taken - self.allowed + self.burst / 10;
        Some(
            (PERIOD * wanted)
                .checked_div(self.per_period)
                .unwrap_or(PERIOD),
        )
    }
}
