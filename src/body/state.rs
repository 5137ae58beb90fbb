//! The state that a request's body and its monitor share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU16, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;
use http::StatusCode;

use super::source::Source;

/// Written by the [`Body`](super::Body), which a handler may take to another thread, and read by its
/// [`BodyMonitor`](super::BodyMonitor), which stays with the connection.
#[derive(Default)]
pub(super) struct BodyState {
    /// Bytes that the handler has read.
    received: AtomicU64,
    /// The handler waits for more.
    waiting: AtomicBool,
    /// The handler has begun to read, and the client waits for `100 Continue`.
    continue_wanted: AtomicBool,
    /// The body is larger than the limit.
    too_large: AtomicBool,
    /// The status that the server has answered in place of the handler, or 0.
    rejected: AtomicU16,
    /// No more data can arrive: the client has ended its side of the connection.
    input_ended: AtomicBool,
    /// The handler was told that.
    cut_off: AtomicBool,
    /// All of the body was read.
    complete: AtomicBool,
    unread: Mutex<Unread>,
    monitor: AtomicWaker,
    /// The task that waits for data.
    reader: AtomicWaker,
}

/// The owner of the rest of the body.
#[derive(Default)]
enum Unread {
    /// The handler.
    #[default]
    Held,
    /// The handler has dropped it: the monitor drains it.
    Left(Source),
    /// It was read to its end, or the monitor is gone.
    Done,
}

impl BodyState {
    pub(super) fn new(too_large: bool) -> Self {
        Self {
            too_large: AtomicBool::new(too_large),
            ..Self::default()
        }
    }

    // Called by the body.

    pub(super) fn want_continue(&self) {
        self.continue_wanted.store(true, Relaxed);
        self.monitor.wake();
    }

    /// Data has arrived, or the body has ended.
    pub(super) fn set_ready(&self) {
        self.waiting.store(false, Relaxed);
    }

    /// Notes that the body waits for data. Returns whether no more than has arrived by now can
    /// arrive; otherwise [`end_input`](Self::end_input) wakes the task.
    pub(super) fn wait(&self, task: &Waker) -> bool {
        self.reader.register(task);
        let ended = self.input_ended.load(Acquire);
        self.waiting.store(!ended, Relaxed);
        ended
    }

    /// The handler is told that no more data can arrive.
    pub(super) fn set_cut_off(&self) {
        self.cut_off.store(true, Relaxed);
    }

    pub(super) fn received(&self, bytes: u64) {
        // Only the body writes it.
        let before = self.received.load(Relaxed);
        self.received.store(before + bytes, Relaxed);
    }

    pub(super) fn set_too_large(&self) {
        self.too_large.store(true, Relaxed);
    }

    /// Nothing is left to read, which a reader that is not done may know.
    pub(super) fn set_complete(&self) {
        self.complete.store(true, Relaxed);
    }

    /// The body was read to its end.
    pub(super) fn ended(&self) {
        *self.unread() = Unread::Done;
    }

    /// The body was dropped, with `rest` unread.
    pub(super) fn leave(&self, rest: Source) {
        self.set_ready();
        if rest.is_end_stream() {
            return self.ended();
        }
        let mut unread = self.unread();
        // Without a monitor `rest` is dropped, which resets the stream.
        if matches!(*unread, Unread::Held) {
            *unread = Unread::Left(rest);
            drop(unread);
            self.monitor.wake();
        }
    }

    // Called by the monitor.

    /// Registers the task to wake when the body changes the state. Call it before you read the
    /// state.
    pub(super) fn register(&self, task: &Waker) {
        self.monitor.register(task);
    }

    pub(super) fn take_continue_wanted(&self) -> bool {
        self.continue_wanted.load(Relaxed) && self.continue_wanted.swap(false, Relaxed)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    /// No more data can arrive.
    pub(super) fn end_input(&self) {
        self.input_ended.store(true, Release);
        self.reader.wake();
    }

    pub(super) fn has_input_ended(&self) -> bool {
        self.input_ended.load(Acquire)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Relaxed)
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Relaxed)
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.too_large.load(Relaxed)
    }

    pub(super) fn reject(&self, status: StatusCode) {
        self.rejected.store(status.as_u16(), Relaxed);
    }

    /// Takes the unread rest of the body; `None` while the handler holds the body.
    pub(super) fn take_left(&self) -> Option<Source> {
        let mut unread = self.unread();
        if matches!(*unread, Unread::Held) {
            return None;
        }
        match std::mem::replace(&mut *unread, Unread::Done) {
            Unread::Left(rest) => Some(rest),
            Unread::Held | Unread::Done => Some(Source::Empty),
        }
    }

    /// The monitor was dropped: from now on only the handler uses the body.
    pub(super) fn close(&self) {
        let unread = std::mem::replace(&mut *self.unread(), Unread::Done);
        drop(unread);
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server has answered a request in place of its handler: 408 or 413, because of the
/// request's body. For access logs; see [`Body::rejection`](super::Body::rejection).
///
/// It is set before the handler, or the body of its response, is dropped.
#[derive(Clone, Default)]
pub struct Rejection(Option<Arc<BodyState>>);

impl Rejection {
    pub(super) fn of(state: Option<&Arc<BodyState>>) -> Self {
        Self(state.cloned())
    }

    /// The status of the server's own answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        let rejected = self.0.as_ref()?.rejected.load(Relaxed);
        StatusCode::from_u16(rejected).ok()
    }
}

impl std::fmt::Debug for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rejection").field(&self.status()).finish()
    }
}
