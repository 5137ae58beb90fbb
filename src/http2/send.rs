//! Sending a body: no faster than the peer's windows, no more than the connection may hold.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use h2::SendStream;

use super::context::ConnectionContext;
use crate::time::LeastRate;

/// How much is given to h2 at once, so that the streams of a connection take turns at its send
/// buffer. A multiple of the frame size, so that no frame is cut short by it.
const PIECE: usize = 64 * 1024;

/// The bytes of all responses of a connection that wait in h2 to be sent.
pub(crate) struct SendBuffer {
    limit: usize,
    used: Cell<usize>,
    /// Streams that wait for room, in the order in which they get it: one piece each.
    queue: RefCell<VecDeque<Waiting>>,
    next_ticket: Cell<u64>,
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
        }
    }

    /// How many bytes wait in h2.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.used.get()
    }

    fn has_room(&self) -> bool {
        self.used.get() < self.limit
    }

    /// The first stream that waits is woken when half of the buffer is free; it wakes the next
    /// one. There is enough left to send meanwhile.
    fn release(&self, n: usize) {
        let before = self.used.get();
        let after = before.saturating_sub(n);
        self.used.set(after);
        let half = self.limit / 2;
        if before > half && after <= half {
            self.wake_first();
        }
    }

    fn wake_first(&self) {
        let first = self.queue.borrow().front().map(|first| first.waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A stream's place in the queue for the buffer.
struct SendPermit {
    buffer: Rc<SendBuffer>,
    ticket: Option<u64>,
}

impl SendPermit {
    /// Ready when the stream may send one piece; for the next one it waits behind the others.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
}

impl Drop for SendPermit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut queue = self.buffer.queue.borrow_mut();
            queue.retain(|waiting| waiting.ticket != ticket);
            drop(queue);
            // It may have been woken, and will not wake the next one.
            if self.buffer.has_room() {
                self.buffer.wake_first();
            }
        }
    }
}

/// A piece of a body while it is h2's: counted until it is sent or thrown away.
pub(crate) struct Chunk {
    bytes: Bytes,
    counted: usize,
    buffer: Option<Rc<SendBuffer>>,
}

impl Chunk {
    fn new(bytes: Bytes, buffer: &Rc<SendBuffer>) -> Self {
        let counted = bytes.len();
        buffer.used.set(buffer.used.get() + counted);
        Self {
            bytes,
            counted,
            buffer: Some(Rc::clone(buffer)),
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
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
}

/// Why sending stopped.
pub(super) enum Stopped {
    /// The peer reset the stream or the connection is gone: nothing left to do.
    Gone,
    /// The peer granted too little window for the time limit.
    Stalled,
}

impl From<h2::Error> for Stopped {
    fn from(_: h2::Error) -> Self {
        Self::Gone
    }
}

/// Data on its way to h2, as the peer's windows and the connection's buffer allow.
pub(super) struct Outgoing {
    data: Bytes,
    end_of_stream: bool,
    permit: SendPermit,
}

impl Outgoing {
    pub(super) fn new(data: Bytes, end_of_stream: bool, context: &ConnectionContext) -> Self {
        Self {
            data,
            end_of_stream,
            permit: SendPermit {
                buffer: Rc::clone(&context.send_buffer),
                ticket: None,
            },
        }
    }

    /// Ready when h2 has all of it; then whether the stream has ended with it.
    pub(super) fn poll(
        &mut self,
        stream: &mut SendStream<Chunk>,
        stall: &mut LeastRate,
        context: &ConnectionContext,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Stopped>> {
        if self.data.is_empty() && self.end_of_stream {
            stream.send_data(Chunk::empty(), true)?;
        }
        while !self.data.is_empty() {
            let granted = ready!(self.poll_window(stream, stall, cx))?;
            let piece = self.data.split_to(granted.min(self.data.len()));
            stall.moved(piece.len());
            context.credits.sent(piece.len(), self.data.is_empty());
            let last = self.end_of_stream && self.data.is_empty();
            stream.send_data(Chunk::new(piece, &self.permit.buffer), last)?;
        }
        Poll::Ready(Ok(self.end_of_stream))
    }

    /// How much may be sent now. The connection's own buffer is asked first: a stream that waits
    /// for it must not sit on window that another one could use.
    fn poll_window(
        &mut self,
        stream: &mut SendStream<Chunk>,
        stall: &mut LeastRate,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Stopped>> {
        let mut stalled = false;
        if self.permit.poll(cx).is_pending() {
            // That is not the peer's window: whether the connection moves is looked at below it.
            stall.pause();
        } else {
            stream.reserve_capacity(self.data.len().min(PIECE));
            loop {
                // `poll_capacity` tells of changes only, so what is there already is asked for
                // first.
                let capacity = stream.capacity();
                if capacity > 0 {
                    return Poll::Ready(Ok(capacity.min(PIECE)));
                }
                match stream.poll_capacity(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Stopped::Gone)),
                }
            }
            stalled = stall.poll_waiting(cx).is_ready();
        }
        match stream.poll_reset(cx) {
            Poll::Ready(_reset) => Poll::Ready(Err(Stopped::Gone)),
            Poll::Pending if stalled => Poll::Ready(Err(Stopped::Stalled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
