//! Flushes once per poll of a connection, not once per frame, and throttles reading.

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

/// The engine's half of the transport, which only notes a flush.
///
/// Crate h2 flushes after every DATA frame. Flushing at once would cost a system call and a short
/// TLS record for each. Flushing when h2 has nothing more to write lets frames share records, and
/// records share system calls. The waiting bytes are bounded: the transport writes when it holds
/// enough.
pub(super) struct Transport<IO>(Rc<Shared<IO>>);

/// The driver's half of the transport, which flushes when the engine is pending.
pub(super) struct TransportHandle<IO>(Rc<Shared<IO>>);

struct Shared<IO> {
    io: RefCell<IO>,
    flush_wanted: Cell<bool>,
    /// Bytes since the last flush.
    written: Cell<usize>,
    throttle: RefCell<Throttle>,
    readable: Arc<Readable>,
    on_readable: Waker,
    /// Bytes so far.
    received: Cell<u64>,
    end: Cell<End>,
    /// The last write did not take all of its bytes.
    blocked: Cell<bool>,
}

/// The end of the peer's bytes. Crate h2 drops all streams when it reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The engine gets it at once.
    Passes,
    /// The driver wants to answer what was requested before it.
    Waits,
    /// It was read, and the engine does not know it yet.
    Held,
    Given,
}

/// A PING (RFC 9113 section 6.7).
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0corelane";

/// Both ends of one transport.
pub(super) fn transport<IO>(
    io: IO,
    wakeups: &Arc<Wakeups>,
    config: &Http2Config,
) -> (Transport<IO>, TransportHandle<IO>) {
    let readable = Arc::new(Readable::new(wakeups));
    let shared = Rc::new(Shared {
        io: RefCell::new(io),
        flush_wanted: Cell::new(false),
        written: Cell::new(0),
        throttle: RefCell::new(Throttle::new(config)),
        on_readable: Waker::from(Arc::clone(&readable)),
        readable,
        received: Cell::new(0),
        end: Cell::new(End::Passes),
        blocked: Cell::new(false),
    });
    (Transport(Rc::clone(&shared)), TransportHandle(shared))
}

impl<IO: AsyncWrite + Unpin> TransportHandle<IO> {
    /// How many bytes have been read so far.
    pub(super) fn received(&self) -> u64 {
        self.0.received.get()
    }

    /// How many bytes have been written since the last flush.
    pub(super) fn written(&self) -> usize {
        self.0.written.get()
    }

    /// As [`Throttle::update`]. While frames are stopped, the transport reads nothing until this
    /// method returns that they pass again. The caller then polls the engine;
    /// [`ThrottleState::HandlersFirst`] wakes the task for that.
    pub(super) fn update_throttle(&self, credits: u32, now: fn() -> Instant) -> ThrottleState {
        let state = self.0.throttle.borrow_mut().update(credits, now);
        if state == ThrottleState::HandlersFirst {
            self.0.on_readable.wake_by_ref();
        }
        state
    }

    /// From now on the end of the peer's bytes waits for [`give_end`](Self::give_end).
    pub(super) fn hold_end(&self) {
        self.0.end.set(End::Waits);
    }

    /// Whether the peer has ended its side, and the engine does not know it.
    pub(super) fn holds_end(&self) -> bool {
        self.0.end.get() == End::Held
    }

    /// The engine reads the end when it is polled next.
    pub(super) fn give_end(&self) {
        self.0.end.set(End::Given);
        self.0.readable.set();
    }

    /// Whether the engine has bytes left to write.
    pub(super) fn is_blocked(&self) -> bool {
        self.0.blocked.get()
    }

    /// Writes a PING and flushes it. Call it only after a flush and while the transport is not
    /// blocked: the engine is then between two frames.
    pub(super) fn send_ping(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let io = &mut *self.0.io.borrow_mut();
        match Pin::new(&mut *io).poll_write(cx, PING) {
            Poll::Ready(Ok(n)) if n == PING.len() => {}
            Poll::Ready(Err(error)) => return Err(error),
            _ => return Err(io::ErrorKind::WriteZero.into()),
        }
        self.0.flush_wanted.set(true);
        match Pin::new(io).poll_flush(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Flushes if the engine has asked for it. Ready when nothing is left to flush.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.flush_wanted.get() {
            ready!(Pin::new(&mut *self.0.io.borrow_mut()).poll_flush(cx))?;
            self.0.flush_wanted.set(false);
            self.0.written.set(0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Transport<IO> {
    /// Crate h2 calls this once for each request. The socket is asked only if it may have something.
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
            flush_wanted,
            written: _,
            end,
            blocked: _,
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
        match end.get() {
            End::Passes | End::Waits => {}
            End::Held => return Poll::Pending,
            End::Given => return Poll::Ready(Ok(())),
        }
        let cx = &mut Context::from_waker(on_readable);
        let before = buf.filled().len();
        let read = Pin::new(&mut *io.borrow_mut()).poll_read(cx, buf);
        let more = &buf.filled()[before..];
        received.set(received.get() + more.len() as u64);
        let nothing = more.is_empty();
        let passed = throttle.pass(more);
        throttle.hold(&more[passed..]);
        buf.set_filled(before + passed);
        // The transport may have to answer its input.
        flush_wanted.set(true);
        if nothing && end.get() == End::Waits && is_end(&read) {
            end.set(End::Held);
            return Poll::Pending;
        }
        if read.is_ready() {
            readable.set();
        }
        read
    }
}

/// Whether a read that got no bytes found the end, with or without close_notify.
fn is_end(read: &Poll<io::Result<()>>) -> bool {
    match read {
        Poll::Ready(Ok(())) => true,
        Poll::Ready(Err(error)) => error.kind() == io::ErrorKind::UnexpectedEof,
        Poll::Pending => false,
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
        let polled = Pin::new(&mut *self.0.io.borrow_mut()).poll_write_vectored(cx, bufs);
        self.0.blocked.set(polled.is_pending());
        let n = ready!(polled)?;
        self.0.written.set(self.0.written.get() + n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.io.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.flush_wanted.set(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.io.borrow_mut()).poll_shutdown(cx)
    }
}
