//! The stream that the handler of a protocol reads and writes.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{local_shutdown::LocalShutdown, runtime::TIMER, socket::Socket};
use crate::{config::Limits, io::TlsStream, time::Deadline};

/// A connection whose protocol was chosen by ALPN, as tokio's `AsyncRead` and `AsyncWrite`, for the
/// handler of [`Builder::protocol`](crate::Builder::protocol).
///
/// It buffers as [`TlsStream`](crate::TlsStream) does: small writes leave with the next flush.
/// `shutdown` of `AsyncWriteExt` sends close_notify and ends the sending side; a read of `0` bytes is the
/// peer's close_notify, and an end without it is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
///
/// The connection ends with the future of its handler: calls after that fail with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe). A read or write fails with
/// [`TimedOut`](io::ErrorKind::TimedOut) after [`Limits::idle`](crate::Limits#structfield.idle) without a
/// byte in either direction, and a write also if the peer takes less than
/// [`Limits::min_rate`](crate::Limits#structfield.min_rate) during
/// [`Limits::write`](crate::Limits#structfield.write).
pub struct ProtocolStream {
    shared: Rc<Shared>,
}

/// Shared by the stream and its connection, which closes it.
pub(super) struct Shared {
    open: RefCell<Option<Open>>,
    shutdown: LocalShutdown,
}

struct Open {
    stream: TlsStream<Socket>,
    /// The time without a byte in either direction.
    idle: Deadline,
}

impl ProtocolStream {
    pub(super) fn new(stream: TlsStream<Socket>, limits: &Limits) -> Self {
        let idle = Deadline::new(TIMER, limits.idle);
        Self {
            shared: Rc::new(Shared {
                open: RefCell::new(Some(Open { stream, idle })),
                shutdown: LocalShutdown::default(),
            }),
        }
    }

    pub(super) fn shared(&self) -> Rc<Shared> {
        Rc::clone(&self.shared)
    }

    /// Ready when the server shuts down. A handler that ends soon after loses nothing; at the deadline
    /// of [`Handle::shutdown`](crate::Handle::shutdown) the server drops it.
    pub fn server_shutdown(&self) -> impl Future<Output = ()> + use<> {
        let shared = self.shared();
        async move { shared.shutdown.wait().await }
    }

    /// Calls the stream, unless the connection has ended, and measures how long it waits.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        call: impl FnOnce(Pin<&mut TlsStream<Socket>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut open = self.shared.open.borrow_mut();
        let Some(Open { stream, idle }) = &mut *open else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let result = call(Pin::new(stream), cx);
        if result.is_ready() {
            idle.progress();
        } else if idle.poll_waiting(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl Shared {
    /// Ends the use of the stream and returns it.
    pub(super) fn take(&self) -> Option<TlsStream<Socket>> {
        self.open.take().map(|open| open.stream)
    }

    pub(super) fn shut_down(&self) {
        self.shutdown.shut_down();
    }
}

impl AsyncRead for ProtocolStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for ProtocolStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

impl fmt::Debug for ProtocolStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self
            .shared
            .open
            .try_borrow()
            .is_ok_and(|open| open.is_some());
        f.debug_struct("ProtocolStream")
            .field("is_open", &is_open)
            .finish_non_exhaustive()
    }
}
