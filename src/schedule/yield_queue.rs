//! The end of a worker's queue.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crate::time::{Sleep, Timer};

/// Wakes tasks when all that are ready now have had their turn.
///
/// A runtime may let a task that wakes itself go on at once, ahead of all others: monoio does.
/// Whoever wants to make way is woken by another task instead, [`run`](Self::run), which is itself
/// behind those that are ready.
#[derive(Default)]
pub(crate) struct YieldQueue {
    waiting: RefCell<Vec<Waker>>,
    runner: RefCell<Runner>,
}

#[derive(Default)]
enum Runner {
    /// Whoever drives connections alone has nobody to make way for.
    #[default]
    Nobody,
    Waits(Waker),
    Woken,
}

impl YieldQueue {
    pub(crate) fn wake(&self, task: &Waker) {
        let runner = &mut *self.runner.borrow_mut();
        if matches!(runner, Runner::Nobody) {
            task.wake_by_ref();
            return;
        }
        self.waiting.borrow_mut().push(task.clone());
        if let Runner::Waits(waker) = std::mem::replace(runner, Runner::Woken) {
            waker.wake();
        }
    }

    /// A task of its own; it never ends.
    pub(crate) async fn run(&self, timer: Timer) {
        let mut woken = Vec::new();
        let mut timer_yield = TimerYield::new(timer);
        poll_fn(|cx| {
            ready!(timer_yield.poll(cx));
            *self.runner.borrow_mut() = Runner::Waits(cx.waker().clone());
            std::mem::swap(&mut *self.waiting.borrow_mut(), &mut woken);
            for task in woken.drain(..) {
                task.wake();
            }
            Poll::Pending
        })
        .await
    }
}

/// monoio looks at sockets and timers only when no task is ready. A handler that gives up its turn
/// again and again, in order to wait for one of them, would wait for good.
struct TimerYield {
    timer: Timer,
    turns: u32,
    sleep: Sleep,
}

/// Turns in a row without a look at the timers before it is made sure that there is one.
const TURNS: u32 = 256;

/// Until then a timer that goes off shows that there has been one.
const PAUSE: Duration = Duration::from_millis(1);

impl TimerYield {
    fn new(timer: Timer) -> Self {
        Self {
            timer,
            turns: 0,
            sleep: (timer.sleep)(PAUSE),
        }
    }

    /// Ready at once, but for a pause where one is due.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.turns += 1;
        if self.turns > TURNS {
            ready!(self.sleep.as_mut().poll(cx));
            self.sleep = (self.timer.sleep)(PAUSE);
            self.turns = 0;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::{Arc, Mutex},
        task::Wake,
        time::Instant,
    };

    use super::*;

    /// Writes down when it is woken.
    struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().expect("nobody panics").push(self.0);
        }
    }

    #[test]
    fn all_are_woken_by_one_task_in_the_order_in_which_they_asked() {
        let log = Arc::<Mutex<Vec<_>>>::default();
        let named = |name| Waker::from(Arc::new(Named(name, Arc::clone(&log))));
        let taken = || std::mem::take(&mut *log.lock().expect("nobody panics"));
        let yields = YieldQueue::default();
        yields.wake(&named("nobody runs it"));
        assert_eq!(taken(), ["nobody runs it"]);

        let timer = Timer {
            sleep: |_| Box::pin(std::future::pending()),
            now: Instant::now,
        };
        let mut run = pin!(yields.run(timer));
        let runner = named("runner");
        let mut turn = || run.as_mut().poll(&mut Context::from_waker(&runner));
        assert!(turn().is_pending());
        for round in 0..2 {
            yields.wake(&named("first"));
            yields.wake(&named("second"));
            assert_eq!(taken(), ["runner"], "round {round}");
            assert!(turn().is_pending());
            assert_eq!(taken(), ["first", "second"], "round {round}");
        }
    }
}
