//! Counts the connections of a worker, and waits until there are none.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    task::{Context, Poll, Waker},
};

/// Like the type of this name in tokio-util, which would bring in tokio's runtime (feature `rt`).
#[derive(Default)]
pub(super) struct TaskTracker {
    tasks: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

impl TaskTracker {
    pub(super) fn len(&self) -> usize {
        self.tasks.get()
    }

    pub(super) fn task_started(&self) {
        self.tasks.set(self.tasks.get() + 1);
    }

    pub(super) fn task_ended(&self) {
        self.tasks.set(self.tasks.get() - 1);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Ready when no task is left. One task at a time may wait.
    pub(super) fn wait(&self) -> impl Future<Output = ()> {
        poll_fn(|cx: &mut Context<'_>| {
            if self.tasks.get() == 0 {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[test]
    fn wait_is_ready_when_the_last_task_has_ended() {
        let tracker = TaskTracker::default();
        tracker.task_started();
        tracker.task_started();
        let mut wait = pin!(tracker.wait());
        let mut cx = Context::from_waker(Waker::noop());
        tracker.task_ended();
        assert_eq!(tracker.len(), 1);
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        tracker.task_ended();
        assert!(wait.as_mut().poll(&mut cx).is_ready());
    }
}
