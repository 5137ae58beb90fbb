//! Bounds the response bytes that a connection holds, and shares the room among its streams.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};

/// The response bytes of one connection that wait to be sent.
pub(crate) struct SendBuffer {
    limit: usize,
    used: Cell<usize>,
    /// Streams that wait for room. Each in turn may queue one piece.
    queue: RefCell<VecDeque<Waiting>>,
    next_ticket: Cell<u64>,
    /// The transport has taken all that it was given since bytes were last released: the rest waits for the peer's
    /// windows, which may have become smaller than what is queued (RFC 9113 section 6.9.2).
    waits_for_window: Cell<bool>,
    /// Tasks that wait until all bytes are sent.
    flushers: RefCell<Vec<Waker>>,
}

struct Waiting {
    ticket: u64,
    waker: Waker,
}

impl SendBuffer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Cell::new(0),
            queue: RefCell::default(),
            next_ticket: Cell::new(0),
            waits_for_window: Cell::new(false),
            flushers: RefCell::default(),
        }
    }

    /// How many bytes wait to be sent.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.used.get()
    }

    /// Ready when the transport has taken all bytes.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.used.get() == 0 {
            return Poll::Ready(());
        }
        let mut flushers = self.flushers.borrow_mut();
        if !flushers.iter().any(|task| task.will_wake(cx.waker())) {
            flushers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// To be called when the transport has taken all that the engine had to write. Wakes the streams that wait for
    /// room, because their time limits begin.
    pub(super) fn flushed(&self) {
        if self.used.get() == 0 || self.queue.borrow().is_empty() {
            return;
        }
        if !self.waits_for_window.replace(true) {
            for waiting in self.queue.borrow().iter() {
                waiting.waker.wake_by_ref();
            }
        }
    }

    fn has_room(&self) -> bool {
        self.used.get() < self.limit
    }

    /// Wakes the first stream that waits when half of the buffer is free, which leaves enough to
    /// send meanwhile. Each stream wakes the next.
    fn release(&self, n: usize) {
        let before = self.used.get();
        let after = before.saturating_sub(n);
        self.used.set(after);
        self.waits_for_window.set(false);
        let half = self.limit / 2;
        if before > half && after <= half {
            self.wake_first();
        }
        if after == 0 {
            self.flushers.take().into_iter().for_each(Waker::wake);
        }
    }

    fn wake_first(&self) {
        let first = self.queue.borrow().front().map(|first| first.waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// Allows a stream to fill the buffer, one piece at a time.
pub(super) struct SendPermit {
    buffer: Rc<SendBuffer>,
    /// While the stream is in the queue.
    ticket: Option<u64>,
}

impl SendPermit {
    pub(super) fn new(buffer: &Rc<SendBuffer>) -> Self {
        Self {
            buffer: Rc::clone(buffer),
            ticket: None,
        }
    }

    /// Counts a piece until it is sent.
    pub(super) fn fill(&self, bytes: Bytes) -> Chunk {
        let counted = bytes.len();
        self.buffer.used.set(self.buffer.used.get() + counted);
        Chunk {
            bytes,
            counted,
            buffer: Some(Rc::clone(&self.buffer)),
        }
    }

    /// Ready when the stream may queue one piece. For the next one it waits behind the others.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.buffer.queue.borrow_mut();
        let first = queue.front().map(|first| first.ticket);
        if first == self.ticket && self.buffer.has_room() {
            if self.ticket.take().is_some() {
                queue.pop_front();
                drop(queue);
                self.buffer.wake_first();
            }
            return Poll::Ready(());
        }
        let waiting = self
            .ticket
            .and_then(|ticket| queue.iter_mut().find(|waiting| waiting.ticket == ticket));
        match waiting {
            Some(waiting) => waiting.waker.clone_from(cx.waker()),
            None => {
                let ticket = self.buffer.next_ticket.get();
                self.buffer.next_ticket.set(ticket + 1);
                self.ticket = Some(ticket);
                queue.push_back(Waiting {
                    ticket,
                    waker: cx.waker().clone(),
                });
            }
        }
        Poll::Pending
    }

    /// Whether the room that [`poll`](Self::poll) waits for depends on the peer's windows.
    pub(super) fn waits_for_window(&self) -> bool {
        self.buffer.waits_for_window.get()
    }
}

impl Drop for SendPermit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut queue = self.buffer.queue.borrow_mut();
            queue.retain(|waiting| waiting.ticket != ticket);
            drop(queue);
            // This stream may have been woken and can no longer wake the next one, so wake it here.
            if self.buffer.has_room() {
                self.buffer.wake_first();
            }
        }
    }
}

/// A piece of a body that waits to be sent. It counts until it is sent or dropped.
pub(crate) struct Chunk {
    bytes: Bytes,
    counted: usize,
    buffer: Option<Rc<SendBuffer>>,
}

impl Chunk {
    /// Ends a stream.
    pub(super) fn empty() -> Self {
        Self::uncounted(Bytes::new())
    }

    /// A few bytes that end a stream.
    pub(super) fn uncounted(bytes: Bytes) -> Self {
        Self {
            bytes,
            counted: 0,
            buffer: None,
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(buffer) = &self.buffer {
            buffer.release(self.counted);
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, n: usize) {
        self.bytes.advance(n);
    }

    fn copy_to_bytes(&mut self, n: usize) -> Bytes {
        self.bytes.copy_to_bytes(n)
    }
}
