//! Clocks and time limits, for the layers that know no runtime.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()>>>;

/// The clock of a runtime. The server gives monoio's to the layers below it.
#[derive(Clone, Copy)]
pub(crate) struct Timer {
    pub(crate) sleep: fn(Duration) -> Sleep,
    pub(crate) now: fn() -> Instant,
}

impl Timer {
    fn since(self, then: Instant) -> Duration {
        (self.now)().saturating_duration_since(then)
    }
}

/// A time limit on something that waits.
///
/// Progress is cheap: the timer stays armed. When it fires, the deadline compares how long the wait
/// has really been.
pub(crate) struct Deadline {
    timer: Timer,
    limit: Duration,
    /// Waited before the last pause.
    waited: Duration,
    waiting_since: Option<Instant>,
    sleep: Option<Sleep>,
}

impl Deadline {
    pub(crate) fn new(timer: Timer, limit: Duration) -> Self {
        Self {
            timer,
            limit,
            waited: Duration::ZERO,
            waiting_since: None,
            sleep: None,
        }
    }

    /// As [`Self::new`], for a wait that has begun.
    pub(crate) fn begun(timer: Timer, limit: Duration) -> Self {
        Self {
            waiting_since: Some((timer.now)()),
            ..Self::new(timer, limit)
        }
    }

    /// Replaces the limit, also of a wait that has begun.
    pub(crate) fn set_limit(&mut self, limit: Duration) {
        if limit != self.limit {
            self.limit = limit;
            self.sleep = None;
        }
    }

    /// Called while the wait goes on. Ready when it has lasted for the limit.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(self.timer.now);
        loop {
            let sleep = match &mut self.sleep {
                Some(sleep) => sleep,
                None => {
                    let waited = self.waited + self.timer.since(since);
                    let left = self.limit.saturating_sub(waited);
                    if left.is_zero() {
                        return Poll::Ready(());
                    }
                    self.sleep.insert((self.timer.sleep)(left))
                }
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }

    /// The wait is over, or there was progress: the limit starts again.
    pub(crate) fn progress(&mut self) {
        self.waited = Duration::ZERO;
        self.waiting_since = None;
    }

    /// There is nothing to wait for now: the limit continues with the next wait.
    pub(crate) fn pause(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += self.timer.since(since);
        }
    }
}

/// A time limit on a transfer. It starts again only when enough bytes were moved to keep the
/// average rate, so that a trickle does not count as progress.
pub(crate) struct MinRate {
    wait: Deadline,
    min_bytes: u64,
    moved: u64,
}

impl MinRate {
    /// `rate` is in bytes per second. With 0 every byte is progress.
    pub(crate) fn new(timer: Timer, limit: Duration, rate: u32) -> Self {
        let min_bytes = u128::from(rate) * limit.as_millis() / 1000;
        Self {
            wait: Deadline::new(timer, limit),
            min_bytes: u64::try_from(min_bytes).unwrap_or(u64::MAX).max(1),
            moved: 0,
        }
    }

    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
        if self.moved >= self.min_bytes {
            self.restart();
        }
    }

    /// Called while the transfer waits. Ready when too little was moved within the limit.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wait.poll_waiting(cx)
    }

    /// As [`Deadline::pause`].
    pub(crate) fn pause(&mut self) {
        self.wait.pause();
    }

    fn restart(&mut self) {
        self.moved = 0;
        self.wait.progress();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Timer = Timer {
        sleep: |_| Box::pin(std::future::pending()),
        now: Instant::now,
    };

    fn waits(rate: &mut MinRate) -> bool {
        let waker = std::task::Waker::noop();
        rate.poll_waiting(&mut Context::from_waker(waker))
            .is_pending()
    }

    #[test]
    fn a_trickle_is_not_progress() {
        // 100 bytes within the limit.
        let mut rate = MinRate::new(NEVER, Duration::from_secs(10), 10);
        assert!(waits(&mut rate));
        let begun = rate.wait.waiting_since;
        rate.moved(99);
        assert!(waits(&mut rate));
        assert_eq!(rate.wait.waiting_since, begun, "99 bytes are not enough");
        rate.moved(1);
        assert_eq!(rate.wait.waiting_since, None, "100 are");
    }

    #[test]
    fn every_byte_is_progress_without_a_rate() {
        let mut rate = MinRate::new(NEVER, Duration::from_secs(10), 0);
        assert!(waits(&mut rate));
        rate.moved(0);
        assert!(rate.wait.waiting_since.is_some());
        rate.moved(1);
        assert_eq!(rate.wait.waiting_since, None);
    }

    #[test]
    fn another_limit_holds_for_a_wait_that_has_begun() {
        let mut wait = Deadline::begun(NEVER, Duration::from_secs(10));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(wait.poll_waiting(&mut cx).is_pending());
        wait.set_limit(Duration::from_nanos(1));
        while wait.waiting_since == Some(Instant::now()) {}
        assert!(wait.poll_waiting(&mut cx).is_ready());
    }

    #[test]
    fn a_pause_keeps_the_time_waited() {
        let mut wait = Deadline::new(NEVER, Duration::from_secs(10));
        wait.waiting_since = Instant::now().checked_sub(Duration::from_secs(11));
        assert!(
            wait.waiting_since.is_some(),
            "the machine is up for as long"
        );
        wait.pause();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(wait.poll_waiting(&mut cx).is_ready());
        wait.progress();
        assert!(wait.poll_waiting(&mut cx).is_pending());
    }
}
