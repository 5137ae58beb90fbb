//! An end that the connections of a worker are told of.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use slab::Slab;

/// Set once, by the thread that waits for it. A token that other threads may cancel has a lock that
/// is taken each time it is asked, and every connection asks with every turn.
#[derive(Default)]
pub(super) struct LocalShutdown {
    set: Cell<bool>,
    waiting: RefCell<Slab<Waker>>,
}

impl LocalShutdown {
    pub(super) fn set(&self) {
        self.set.set(true);
        for (_, waker) in &*self.waiting.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        Wait {
            latch: self,
            place: None,
        }
    }
}

/// Ready when the latch is set.
pub(super) struct Wait<'a> {
    latch: &'a LocalShutdown,
    /// Nobody else takes it out.
    place: Option<usize>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.latch.set.get() {
            return Poll::Ready(());
        }
        let waiting = &mut *self.latch.waiting.borrow_mut();
        match self.place {
            Some(place) if waiting[place].will_wake(cx.waker()) => {}
            Some(place) => waiting[place].clone_from(cx.waker()),
            None => self.place = Some(waiting.insert(cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.latch.waiting.borrow_mut().remove(place);
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
    fn whoever_waits_is_woken_and_nobody_else() {
        let latch = LocalShutdown::default();
        let [gone, moved, waits] = [(); 3].map(|()| Arc::<Count>::default());
        let waker = |count: &Arc<Count>| Waker::from(Arc::clone(count));
        {
            let wait = pin!(latch.wait());
            assert!(
                wait.poll(&mut Context::from_waker(&waker(&gone)))
                    .is_pending()
            );
        }
        let mut wait = pin!(latch.wait());
        for count in [&moved, &waits] {
            let waker = waker(count);
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        latch.set();
        let woken = [gone, moved, waits].map(|count| count.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 0, 1]);
        assert!(
            wait.poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
        assert!(
            pin!(latch.wait())
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }
}
