//! Shutdown signal within one thread.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use slab::Slab;

/// Sent once, to futures on the same thread. A `CancellationToken` takes a lock for every poll of
/// its futures, and every connection polls with each of its turns.
#[derive(Default)]
pub(super) struct LocalShutdown {
    is_shut_down: Cell<bool>,
    waiting: RefCell<Slab<Waker>>,
}

impl LocalShutdown {
    pub(super) fn shut_down(&self) {
        self.is_shut_down.set(true);
        for (_, waker) in &*self.waiting.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        Wait {
            shutdown: self,
            slot: None,
        }
    }
}

/// Ready after [`LocalShutdown::shut_down`].
pub(super) struct Wait<'a> {
    shutdown: &'a LocalShutdown,
    /// Where the waker is in `waiting`; only this future removes it.
    slot: Option<usize>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shutdown.is_shut_down.get() {
            return Poll::Ready(());
        }
        let waiting = &mut *self.shutdown.waiting.borrow_mut();
        match self.slot {
            Some(slot) if waiting[slot].will_wake(cx.waker()) => {}
            Some(slot) => waiting[slot].clone_from(cx.waker()),
            None => self.slot = Some(waiting.insert(cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.shutdown.waiting.borrow_mut().remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_futures_that_wait_are_woken() {
        let shutdown = LocalShutdown::default();
        let [gone, moved, waits] = [(); 3].map(|()| Arc::<Count>::default());
        let waker = |count: &Arc<Count>| Waker::from(Arc::clone(count));
        {
            let wait = pin!(shutdown.wait());
            assert!(
                wait.poll(&mut Context::from_waker(&waker(&gone)))
                    .is_pending()
            );
        }
        let mut wait = pin!(shutdown.wait());
        for count in [&moved, &waits] {
            let waker = waker(count);
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        shutdown.shut_down();
        let woken = [gone, moved, waits].map(|count| count.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 0, 1]);
        assert!(
            wait.poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
        assert!(
            pin!(shutdown.wait())
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }
}
