//! Sending a body: no faster than the peer's windows, no more than the connection may hold.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use h2::SendStream;

use super::connection::Scope;
use crate::time::Deadline;

/// How much is given to h2 at once, so that the streams of a connection take turns at its send
/// buffer. A multiple of the frame size, so that no frame is cut short by it.
const PIECE: usize = 64 * 1024;

/// The bytes of all responses of a connection that wait in h2 to be sent.
pub(super) struct SendBuffer {
    limit: usize,
    used: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl SendBuffer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Cell::new(0),
            waiting: RefCell::default(),
        }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.used.get() < self.limit {
            return Poll::Ready(());
        }
        self.waiting.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    /// Streams that wait are woken together, when half of the buffer is free: they take turns,
    /// and there is enough left to send meanwhile.
    fn release(&self, n: usize) {
        let before = self.used.get();
        let after = before.saturating_sub(n);
        self.used.set(after);
        let half = self.limit / 2;
        if before > half && after <= half {
            for waker in self.waiting.take() {
                waker.wake();
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
    /// The peer granted no window for the time limit.
    Stalled,
}

impl From<h2::Error> for Stopped {
    fn from(_: h2::Error) -> Self {
        Self::Gone
    }
}

/// Sends all of `data`, as the peer's windows and the connection's buffer allow.
pub(super) async fn send_data(
    stream: &mut SendStream<Chunk>,
    mut data: Bytes,
    end_of_stream: bool,
    scope: &Scope,
) -> Result<(), Stopped> {
    if data.is_empty() {
        if end_of_stream {
            stream.send_data(Chunk::empty(), true)?;
        }
        return Ok(());
    }
    let mut stall = Deadline::new(scope.timer, scope.limits.write);
    while !data.is_empty() {
        let granted = poll_fn(|cx| {
            let room = poll_window(stream, data.len(), scope, cx);
            if room.is_pending() && stall.poll_waiting(cx).is_ready() {
                return Poll::Ready(Err(Stopped::Stalled));
            }
            room
        })
        .await?;
        stall.progress();
        let piece = data.split_to(granted.min(data.len()));
        let last = end_of_stream && data.is_empty();
        stream.send_data(Chunk::new(piece, &scope.send_buffer), last)?;
    }
    Ok(())
}

/// How much may be sent now. The connection's own buffer is asked first: a stream that waits for
/// it must not sit on window that another one could use.
fn poll_window(
    stream: &mut SendStream<Chunk>,
    wanted: usize,
    scope: &Scope,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Stopped>> {
    if scope.send_buffer.poll_room(cx).is_ready() {
        stream.reserve_capacity(wanted.min(PIECE));
        loop {
            // `poll_capacity` tells of changes only, so what is there already is asked for first.
            let capacity = stream.capacity();
            if capacity > 0 {
                return Poll::Ready(Ok(capacity));
            }
            match stream.poll_capacity(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Stopped::Gone)),
            }
        }
    }
    stream.poll_reset(cx).map(|_reason| Err(Stopped::Gone))
}
