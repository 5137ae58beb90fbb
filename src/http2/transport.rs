//! Flushes once per wakeups of a connection, not once per frame.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::throttle::{Throttle, ThrottleState};
use crate::{
    config::Http2Config,
    schedule::{Readable, Wakeups},
};

/// The transport as h2 gets it: flushing only takes note.
///
/// h2 flushes behind every DATA frame. Obeyed at once, that is a system call and a short TLS record
/// for each; put off until h2 has nothing more to write, frames share records and records share
/// system calls. What waits meanwhile is bounded by what the transport holds before it writes of
/// itself.
pub(super) struct Transport<IO>(Rc<Shared<IO>>);

/// The other end, with which the connection's driver flushes when h2 is pending.
pub(super) struct TransportHandle<IO>(Rc<Shared<IO>>);

struct Shared<IO> {
    io: RefCell<IO>,
    wanted: Cell<bool>,
    /// Bytes since the last flush.
    written: Cell<usize>,
    throttle: RefCell<Throttle>,
    readable: Arc<Readable>,
    on_readable: Waker,
    /// Bytes so far.
    received: Cell<u64>,
}

/// Both ends on one transport.
pub(super) fn transport<IO>(
    io: IO,
    wakeups: &Arc<Wakeups>,
    config: &Http2Config,
) -> (Transport<IO>, TransportHandle<IO>) {
    let readable = Arc::new(Readable::new(wakeups));
    let shared = Rc::new(Shared {
        io: RefCell::new(io),
        wanted: Cell::new(false),
        written: Cell::new(0),
        throttle: RefCell::new(Throttle::new(config)),
        on_readable: Waker::from(Arc::clone(&readable)),
        readable,
        received: Cell::new(0),
    });
    (Transport(Rc::clone(&shared)), TransportHandle(shared))
}

impl<IO: AsyncWrite + Unpin> TransportHandle<IO> {
    /// How many bytes have been read so far.
    pub(super) fn received(&self) -> u64 {
        self.0.received.get()
    }

    /// Whether frames pass, now that so many are accounted for. Once they are stopped nothing is read
    /// until this says that they pass again; h2 is to be polled then. Behind the handlers that goes by
    /// itself.
    pub(super) fn look(&self, accounted: u32, now: fn() -> Instant) -> ThrottleState {
        let state = self.0.throttle.borrow_mut().look(accounted, now);
        if state == ThrottleState::HandlersFirst {
            self.0.on_readable.wake_by_ref();
        }
        state
    }

    /// How many bytes have been written since the last flush.
    pub(super) fn written(&self) -> usize {
        self.0.written.get()
    }

    /// Flushes if that was asked for; ready when nothing is left to do.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.wanted.get() {
            ready!(Pin::new(&mut *self.0.io.borrow_mut()).poll_flush(cx))?;
            self.0.wanted.set(false);
            self.0.written.set(0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Transport<IO> {
    /// h2 asks once for each request: the transport is asked only where it may have something.
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Shared {
            io,
            readable,
            on_readable,
            received,
            throttle,
            wanted,
            written: _,
        } = &*self.0;
        let throttle = &mut *throttle.borrow_mut();
        if throttle.is_stopped() {
            return Poll::Pending;
        }
        if throttle.has_held() {
            throttle.take_held(buf.remaining(), |bytes| buf.put_slice(bytes));
            return Poll::Ready(Ok(()));
        }
        if !readable.take() {
            return Poll::Pending;
        }
        let cx = &mut Context::from_waker(on_readable);
        let before = buf.filled().len();
        let read = Pin::new(&mut *io.borrow_mut()).poll_read(cx, buf);
        let more = &buf.filled()[before..];
        received.set(received.get() + more.len() as u64);
        let passed = throttle.pass(more);
        throttle.hold(&more[passed..]);
        buf.set_filled(before + passed);
        if read.is_ready() {
            readable.set();
        }
        // The transport may have to answer what it read.
        wanted.set(true);
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Transport<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut *self.0.io.borrow_mut()).poll_write_vectored(cx, bufs))?;
        self.0.written.set(self.0.written.get() + n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.io.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.wanted.set(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.io.borrow_mut()).poll_shutdown(cx)
    }
}
