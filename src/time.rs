//! Time as the layers without a runtime see it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()>>>;

/// Makes the sleeps of a runtime. The server gives monoio's to the layers below it.
#[derive(Clone, Copy)]
pub(crate) struct Timer(pub(crate) fn(Duration) -> Sleep);

/// A time limit on something that waits.
///
/// Progress is cheap: the timer stays armed, and when it fires it is looked at how long the wait
/// has really been.
pub(crate) struct Deadline {
    timer: Timer,
    limit: Duration,
    waiting_since: Option<Instant>,
    sleep: Option<Sleep>,
}

impl Deadline {
    pub(crate) fn new(timer: Timer, limit: Duration) -> Self {
        Self {
            timer,
            limit,
            waiting_since: None,
            sleep: None,
        }
    }

    /// Called while the wait goes on; ready once it has gone on for the limit.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            let sleep = match &mut self.sleep {
                Some(sleep) => sleep,
                None => {
                    let left = self.limit.saturating_sub(since.elapsed());
                    if left.is_zero() {
                        return Poll::Ready(());
                    }
                    self.sleep.insert((self.timer.0)(left))
                }
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }

    /// The wait is over, or something moved: the limit starts anew.
    pub(crate) fn progress(&mut self) {
        self.waiting_since = None;
    }
}
