//! Wakes tasks after all tasks that are ready now have run.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Poll, Waker, ready},
};

use super::timer_yield::TimerYield;
use crate::time::Timer;

/// The end of a worker's queue of ready tasks.
///
/// A runtime may let a task that wakes itself go on at once, before all others: monoio does. A task
/// that makes way is therefore woken by another one, [`run`](Self::run), which is itself behind the
/// tasks that are ready.
#[derive(Default)]
pub(crate) struct YieldQueue {
    waiting: RefCell<Vec<Waker>>,
    runner: RefCell<Runner>,
}

#[derive(Default)]
enum Runner {
    /// Connections are driven one by one: there is no other to make way for.
    #[default]
    Absent,
    Waits(Waker),
    Woken,
}

impl YieldQueue {
    /// Wakes `task` later, or at once if the queue is not run.
    pub(crate) fn wake(&self, task: &Waker) {
        let runner = &mut *self.runner.borrow_mut();
        if matches!(runner, Runner::Absent) {
            task.wake_by_ref();
            return;
        }
        self.waiting.borrow_mut().push(task.clone());
        if let Runner::Waits(waker) = std::mem::replace(runner, Runner::Woken) {
            waker.wake();
        }
    }

    /// Runs the queue. Spawn it as a task; it never ends.
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

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::{Arc, Mutex},
        task::{Context, Wake},
        time::Instant,
    };

    use super::*;

    /// Logs when it is woken.
    struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().expect("not poisoned").push(self.0);
        }
    }

    #[test]
    fn the_runner_wakes_tasks_in_the_order_of_their_requests() {
        let log = Arc::<Mutex<Vec<_>>>::default();
        let named = |name| Waker::from(Arc::new(Named(name, Arc::clone(&log))));
        let taken = || std::mem::take(&mut *log.lock().expect("not poisoned"));
        let yields = YieldQueue::default();
        yields.wake(&named("without a runner"));
        assert_eq!(taken(), ["without a runner"]);

        let timer = Timer {
            sleep: |_| Box::pin(std::future::pending()),
            now: Instant::now,
        };
        let mut run = pin!(yields.run(timer));
        let runner = named("runner");
        let mut round = || run.as_mut().poll(&mut Context::from_waker(&runner));
        assert!(round().is_pending());
        for i in 0..2 {
            yields.wake(&named("first"));
            yields.wake(&named("second"));
            assert_eq!(taken(), ["runner"], "round {i}");
            assert!(round().is_pending());
            assert_eq!(taken(), ["first", "second"], "round {i}");
        }
    }
}
