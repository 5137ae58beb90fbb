//! One waker for all parts of a connection: a wake-up during a poll does not cause another one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, SeqCst},
        },
    },
    task::{Context, Wake, Waker},
};

/// The waker of all parts of a connection. Between polls it wakes the connection's task; during a
/// poll it only sets a flag.
///
/// It lives as long as the connection, as monoio's timers keep the first waker that they are polled
/// with.
#[derive(Default)]
pub(crate) struct Wakeups {
    task: Mutex<Option<Waker>>,
    /// A poll is under way.
    polling: AtomicBool,
    woken: AtomicBool,
    /// Requests that were woken and not polled since then.
    requests: Mutex<Vec<usize>>,
}

/// Polls a connection, with a waker for its parts.
pub(crate) struct PollGuard {
    wakeups: Arc<Wakeups>,
    waker: Waker,
    /// A copy of the task that `wakeups` wakes, for a comparison without a lock.
    task: Option<Waker>,
}

impl PollGuard {
    pub(crate) fn new() -> Self {
        let wakeups = Arc::<Wakeups>::default();
        Self {
            waker: Waker::from(Arc::clone(&wakeups)),
            wakeups,
            task: None,
        }
    }

    pub(crate) fn wakeups(&self) -> &Arc<Wakeups> {
        &self.wakeups
    }

    /// Calls `poll`, with a context for the parts of the connection. Returns its result, and whether a
    /// part was woken after the last [`Wakeups::take_woken`], so that the task has to be polled again.
    pub(crate) fn run<T>(
        &mut self,
        task: &Waker,
        poll: impl FnOnce(&mut Context<'_>, &Wakeups) -> T,
    ) -> (T, bool) {
        if !self.task.as_ref().is_some_and(|it| it.will_wake(task)) {
            self.task = Some(task.clone());
            *self.wakeups.task() = Some(task.clone());
        }
        // Relaxed: a thread that does not see it yet only wakes the task once too often.
        self.wakeups.polling.store(true, Relaxed);
        let result = poll(&mut Context::from_waker(&self.waker), &self.wakeups);
        // SeqCst, as in `Wakeups::wake`: either `wake` sees the end of the poll and wakes the task,
        // or this call sees the flag that `wake` has set.
        self.wakeups.polling.store(false, SeqCst);
        (result, self.wakeups.woken.load(SeqCst))
    }
}

impl Wakeups {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a part was woken since the last call. The caller polls every part after it.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.load(Acquire) && self.woken.swap(false, SeqCst)
    }

    /// Whether a part was woken since the last call of [`take_woken`](Self::take_woken).
    #[cfg(feature = "http1")]
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Acquire)
    }

    /// A waker for the request in this slot.
    pub(crate) fn request_waker(self: &Arc<Self>, number: usize) -> (Waker, Arc<RequestWaker>) {
        let waker = Arc::new(RequestWaker {
            wakeups: Arc::clone(self),
            number,
            queued: AtomicBool::new(false),
        });
        (Waker::from(Arc::clone(&waker)), waker)
    }

    /// Swaps the requests that were woken with `numbers`, which is empty.
    pub(crate) fn swap_requests(&self, numbers: &mut Vec<usize>) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *requests, numbers);
    }
}

impl Wake for Wakeups {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        if !self.polling.load(SeqCst)
            && let Some(task) = &*self.task()
        {
            task.wake_by_ref();
        }
    }
}

/// Whether the transport may have something to read. Only the transport wakes it.
pub(crate) struct Readable {
    wakeups: Arc<Wakeups>,
    readable: AtomicBool,
}

impl Readable {
    pub(crate) fn new(wakeups: &Arc<Wakeups>) -> Self {
        Self {
            wakeups: Arc::clone(wakeups),
            readable: AtomicBool::new(true),
        }
    }

    /// Call it before the transport is polled, so that a wake-up during that poll counts.
    pub(crate) fn take(&self) -> bool {
        self.readable.swap(false, SeqCst)
    }

    pub(crate) fn set(&self) {
        self.readable.store(true, SeqCst);
    }
}

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
        self.wakeups.wake_by_ref();
    }
}

/// Wakes the connection for one of its requests.
pub(crate) struct RequestWaker {
    wakeups: Arc<Wakeups>,
    number: usize,
    queued: AtomicBool,
}

impl RequestWaker {
    /// Call it before the request is polled.
    pub(crate) fn unqueue(&self) {
        self.queued.store(false, SeqCst);
    }
}

impl Wake for RequestWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            let requests = self.wakeups.requests.lock();
            let mut requests = requests.unwrap_or_else(PoisonError::into_inner);
            requests.push(self.number);
            drop(requests);
            self.wakeups.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn only_a_wake_up_between_polls_wakes_the_task() {
        let task = Arc::<Count>::default();
        let woken = || task.0.load(SeqCst);
        let waker = Waker::from(Arc::clone(&task));
        let mut guard = PollGuard::new();
        let parts = Waker::from(Arc::clone(guard.wakeups()));
        let again = guard.run(&waker, |_, _| parts.wake_by_ref()).1;
        assert!(again, "woken, and the poll has not looked");
        let again = guard
            .run(&waker, |_, wakeups| assert!(wakeups.take_woken()))
            .1;
        assert!(!again, "nothing was woken in the second poll");
        assert_eq!(woken(), 0);
        parts.wake_by_ref();
        assert_eq!(woken(), 1);
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let tasks = [Arc::<Count>::default(), Arc::<Count>::default()];
        let mut guard = PollGuard::new();
        for task in &tasks {
            guard.run(&Waker::from(Arc::clone(task)), |_, _| ());
        }
        guard.wakeups().wake_by_ref();
        let woken = tasks.map(|task| task.0.load(SeqCst));
        assert_eq!(woken, [0, 1]);
    }
}
