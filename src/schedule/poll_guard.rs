//! A connection's wakeups: what wakes it while it lasts makes it go on, and not be polled again.

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

/// What the parts of a connection wake: its task between the guard, or nobody in one.
///
/// There is one for all of a connection's life, as monoio's timers keep the first waker that they
/// are polled with.
#[derive(Default)]
pub(crate) struct Wakeups {
    task: Mutex<Option<Waker>>,
    lasts: AtomicBool,
    woken: AtomicBool,
    /// Requests that were woken and not polled since.
    requests: Mutex<Vec<usize>>,
}

/// A connection's guard, as its task has them.
pub(crate) struct PollGuard {
    wakeups: Arc<Wakeups>,
    waker: Waker,
    /// Whom the wakeups wakes: asked for here, without a lock.
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

    /// One wakeups, for which `poll` gets the waker. Beside its result: whether something was woken that
    /// it has not [looked at](Wakeups::take_woken), so that the task wants another one.
    pub(crate) fn run<T>(
        &mut self,
        task: &Waker,
        poll: impl FnOnce(&mut Context<'_>, &Wakeups) -> T,
    ) -> (T, bool) {
        if !self.task.as_ref().is_some_and(|it| it.will_wake(task)) {
            self.task = Some(task.clone());
            *self.wakeups.task() = Some(task.clone());
        }
        // Whoever does not see it wakes the task once too often.
        self.wakeups.lasts.store(true, Relaxed);
        let result = poll(&mut Context::from_waker(&self.waker), &self.wakeups);
        // In one order for all with `Wakeups::wake`: either it wakes the task, or it is seen here.
        self.wakeups.lasts.store(false, SeqCst);
        (result, self.wakeups.woken.load(SeqCst))
    }
}

impl Wakeups {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something was woken since this was asked last. Everything has to be looked at from
    /// here on.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.load(Acquire) && self.woken.swap(false, SeqCst)
    }

    /// A waker for the request with this number.
    pub(crate) fn request_waker(self: &Arc<Self>, number: usize) -> (Waker, Arc<RequestWaker>) {
        let waker = Arc::new(RequestWaker {
            wakeups: Arc::clone(self),
            number,
            queued: AtomicBool::new(false),
        });
        (Waker::from(Arc::clone(&waker)), waker)
    }

    /// The requests that were woken, into `numbers`, which is empty.
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
        if !self.lasts.load(SeqCst)
            && let Some(task) = &*self.task()
        {
            task.wake_by_ref();
        }
    }
}

/// Whether the transport may have something to read. Woken by the transport alone.
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

    /// To be called before the transport is polled: a wake-up meanwhile counts.
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

pub(crate) struct RequestWaker {
    wakeups: Arc<Wakeups>,
    number: usize,
    queued: AtomicBool,
}

impl RequestWaker {
    /// To be called before the request is polled.
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
    fn the_task_is_woken_between_turns_and_told_at_the_end_of_one() {
        let task = Arc::<Count>::default();
        let woken = || task.0.load(SeqCst);
        let waker = Waker::from(Arc::clone(&task));
        let mut guard = PollGuard::new();
        let parts = Waker::from(Arc::clone(guard.wakeups()));
        let again = guard.run(&waker, |_, _| parts.wake_by_ref()).1;
        assert!(again, "it was woken and has not looked");
        let again = guard
            .run(&waker, |_, wakeups| assert!(wakeups.take_woken()))
            .1;
        assert!(!again, "nothing was woken in the second wakeups");
        assert_eq!(woken(), 0);
        parts.wake_by_ref();
        assert_eq!(woken(), 1);
    }

    #[test]
    fn whoever_polls_now_is_woken() {
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
