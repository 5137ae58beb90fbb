//! A connection's turn: what wakes it while it lasts makes it go on, and not be polled again.

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

/// What the parts of a connection wake: its task between the turns, or nobody in one.
///
/// There is one for all of a connection's life, as monoio's timers keep the first waker that they
/// are polled with.
#[derive(Default)]
pub(super) struct Turn {
    task: Mutex<Option<Waker>>,
    lasts: AtomicBool,
    woken: AtomicBool,
    /// Requests that were woken and not polled since.
    requests: Mutex<Vec<usize>>,
}

/// A connection's turns, as its task has them.
pub(super) struct Turns {
    turn: Arc<Turn>,
    waker: Waker,
    /// Whom the turn wakes: asked for here, without a lock.
    task: Option<Waker>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let turn = Arc::<Turn>::default();
        Self {
            waker: Waker::from(Arc::clone(&turn)),
            turn,
            task: None,
        }
    }

    pub(super) fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }

    /// One turn, for which `poll` gets the waker. Beside its result: whether something was woken that
    /// it has not [looked at](Turn::take_woken), so that the task wants another one.
    pub(super) fn take<T>(
        &mut self,
        task: &Waker,
        poll: impl FnOnce(&mut Context<'_>, &Turn) -> T,
    ) -> (T, bool) {
        if !self.task.as_ref().is_some_and(|it| it.will_wake(task)) {
            self.task = Some(task.clone());
            *self.turn.task() = Some(task.clone());
        }
        // Whoever does not see it wakes the task once too often.
        self.turn.lasts.store(true, Relaxed);
        let result = poll(&mut Context::from_waker(&self.waker), &self.turn);
        // In one order for all with `Turn::wake`: either it wakes the task, or it is seen here.
        self.turn.lasts.store(false, SeqCst);
        (result, self.turn.woken.load(SeqCst))
    }
}

impl Turn {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something was woken since this was asked last. Everything has to be looked at from
    /// here on.
    pub(super) fn take_woken(&self) -> bool {
        self.woken.load(Acquire) && self.woken.swap(false, SeqCst)
    }

    /// A waker for the request with this number.
    pub(super) fn request_waker(self: &Arc<Self>, number: usize) -> (Waker, Arc<RequestWaker>) {
        let waker = Arc::new(RequestWaker {
            turn: Arc::clone(self),
            number,
            queued: AtomicBool::new(false),
        });
        (Waker::from(Arc::clone(&waker)), waker)
    }

    /// The requests that were woken, into `numbers`, which is empty.
    pub(super) fn swap_requests(&self, numbers: &mut Vec<usize>) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *requests, numbers);
    }
}

impl Wake for Turn {
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
pub(super) struct Readable {
    turn: Arc<Turn>,
    readable: AtomicBool,
}

impl Readable {
    pub(super) fn new(turn: &Arc<Turn>) -> Self {
        Self {
            turn: Arc::clone(turn),
            readable: AtomicBool::new(true),
        }
    }

    /// To be called before the transport is polled: a wake-up meanwhile counts.
    pub(super) fn take(&self) -> bool {
        self.readable.swap(false, SeqCst)
    }

    pub(super) fn set(&self) {
        self.readable.store(true, SeqCst);
    }
}

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
        self.turn.wake_by_ref();
    }
}

pub(super) struct RequestWaker {
    turn: Arc<Turn>,
    number: usize,
    queued: AtomicBool,
}

impl RequestWaker {
    /// To be called before the request is polled.
    pub(super) fn unqueue(&self) {
        self.queued.store(false, SeqCst);
    }
}

impl Wake for RequestWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            let requests = self.turn.requests.lock();
            let mut requests = requests.unwrap_or_else(PoisonError::into_inner);
            requests.push(self.number);
            drop(requests);
            self.turn.wake_by_ref();
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
        let mut turns = Turns::new();
        let parts = Waker::from(Arc::clone(turns.turn()));
        let again = turns.take(&waker, |_, _| parts.wake_by_ref()).1;
        assert!(again, "it was woken and has not looked");
        let again = turns.take(&waker, |_, turn| assert!(turn.take_woken())).1;
        assert!(!again, "nothing was woken in the second turn");
        assert_eq!(woken(), 0);
        parts.wake_by_ref();
        assert_eq!(woken(), 1);
    }

    #[test]
    fn whoever_polls_now_is_woken() {
        let tasks = [Arc::<Count>::default(), Arc::<Count>::default()];
        let mut turns = Turns::new();
        for task in &tasks {
            turns.take(&Waker::from(Arc::clone(task)), |_, _| ());
        }
        turns.turn().wake_by_ref();
        let woken = tasks.map(|task| task.0.load(SeqCst));
        assert_eq!(woken, [0, 1]);
    }
}
