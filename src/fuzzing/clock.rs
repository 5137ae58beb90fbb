//! A clock that advances only on request, for one connection on a thread.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::time::Timer;

pub(super) const TIMER: Timer = Timer {
    sleep: |duration| {
        Box::pin(Sleep {
            until: now() + duration,
            registered: false,
        })
    },
    now,
};

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::new(Clock { now: Instant::now(), sleepers: Vec::new() });
}

struct Clock {
    now: Instant,
    sleepers: Vec<(Instant, Waker)>,
}

fn now() -> Instant {
    CLOCK.with_borrow(|clock| clock.now)
}

pub(super) fn pass(time: Duration) {
    let woken: Vec<_> = CLOCK.with_borrow_mut(|clock| {
        clock.now += time;
        let now = clock.now;
        let sleepers = clock.sleepers.extract_if(.., |(until, _)| *until <= now);
        sleepers.collect()
    });
    woken.into_iter().for_each(|(_, waker)| waker.wake());
}

/// Keeps the first waker, as monoio's timers do.
struct Sleep {
    until: Instant,
    registered: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        CLOCK.with_borrow_mut(|clock| {
            if clock.now >= self.until {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut self.registered, true) {
                clock.sleepers.push((self.until, cx.waker().clone()));
            }
            Poll::Pending
        })
    }
}
