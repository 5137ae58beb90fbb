//! A connection's turn: what wakes it while it lasts makes it go on, and not be polled again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// What the parts of a connection wake: its task between the turns, or nobody in one.
///
/// There is one for all of a connection's life, as monoio's timers keep the first waker that they
/// are polled with.
#[derive(Default)]
pub(super) struct Turn {
    task: AtomicWaker,
    lasts: AtomicBool,
    woken: AtomicBool,
    /// Requests that were woken and not polled since.
    requests: Mutex<Vec<usize>>,
}

impl Turn {
    pub(super) fn begin(&self, task: &Waker) {
        self.task.register(task);
        self.lasts.store(true, SeqCst);
        // Everything is looked at from here on, whatever woke it.
        self.woken.store(false, SeqCst);
    }

    /// Whether something was woken since this was asked last.
    pub(super) fn take_woken(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }

    /// What has been woken and not been looked at gets another turn, behind other connections.
    pub(super) fn end(&self) {
        self.lasts.store(false, SeqCst);
        if self.take_woken() {
            self.task.wake();
        }
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
        if !self.lasts.load(SeqCst) {
            self.task.wake();
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
