//! A time limit on something that waits.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use corelane::monoio::time::{Instant, Sleep, sleep};

/// Progress is cheap: the timer stays armed, also from one request of a connection to the next. When
/// it fires, the deadline compares how long the wait has really been.
pub(super) struct Deadline {
    limit: Duration,
    waiting_since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting_since: None,
            sleep: Box::pin(sleep(limit)),
        }
    }

    /// The wait is over: the next poll begins another.
    pub(super) fn restart(&mut self) {
        self.waiting_since = None;
    }

    /// Ready when the wait, which begins with the first poll or at the later instant that `since`
    /// returns, takes longer than the limit.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        since: impl Fn() -> Option<Instant>,
    ) -> Poll<()> {
        let begun = *self.waiting_since.get_or_insert_with(Instant::now);
        while self.sleep.as_mut().poll(cx).is_ready() {
            let begun = since().map_or(begun, |since| since.max(begun));
            let end = begun + self.limit;
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(end);
        }
        Poll::Pending
    }
}
