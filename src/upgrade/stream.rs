//! The upgraded stream: the handler's end, and the connection's.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll, Waker, ready},
};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;

/// How much each direction holds between the two ends, bytes: as much as one stream of HTTP/2 queues at
/// once. The memory is allocated as it is used.
const PIPE: usize = 64 * 1024;

/// The stream of a request that was upgraded to another protocol, as tokio's `AsyncRead` and `AsyncWrite`:
/// see [`Upgrade::accept`](super::Upgrade::accept).
///
/// It may be used on any thread and in any runtime. The connection stays on its worker, which moves the
/// bytes between it and this end; each direction holds up to 64 KiB on the way. A reader that stops
/// holds the peer back, and a peer that stops reading holds the writer back.
///
/// - A read of `0` bytes is the clean end of the peer's side: END_STREAM of HTTP/2, close_notify of TLS, FIN
///   without TLS. A stream that ends otherwise is an error, after what has arrived:
///   [`ConnectionReset`](io::ErrorKind::ConnectionReset), or
///   [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) without close_notify.
/// - `shutdown` of `AsyncWriteExt` ends the server's side, and what follows can still be read. It returns
///   when the end is queued; so do writes and `flush`.
/// - Dropping it ends the server's side too. Then the stream is closed, and what the peer still sends is
///   discarded.
///
/// The time limits of requests do not apply. A peer that takes less than
/// [`Limits::min_rate`](crate::Limits#structfield.min_rate) of what waits for it during
/// [`Limits::write`](crate::Limits#structfield.write) is reset. Whether a silent peer is still there is for
/// its protocol to find out, for example by pings of WebSocket.
///
/// When the server shuts down, reads return what has arrived, then the end; writes go on. The stream ends
/// when it is dropped, and at the deadline of [`Handle::shutdown`](crate::Handle::shutdown).
/// [`server_shutdown`](Self::server_shutdown) tells a handler that wants to say goodbye.
pub struct Upgraded {
    io: DuplexStream,
    link: Arc<Link>,
}

/// The connection's end. Its task calls it, and is woken by the other end.
pub(crate) struct Tunnel {
    io: DuplexStream,
    link: Arc<Link>,
    /// The reader has got the end, or an error.
    input_ended: bool,
    counters: Arc<Counters>,
}

/// What the two ends share beside the bytes.
#[derive(Default)]
pub(super) struct Link {
    /// Why the reader gets an error in place of the end.
    failed: OnceLock<io::ErrorKind>,
    /// [`Upgraded`] was dropped.
    abandoned: AtomicBool,
    /// [`Unjoined::join`] has dropped it, because the handler has dropped its `OnUpgrade`.
    unwanted: AtomicBool,
    connection: AtomicWaker,
    shutdown: CancellationToken,
}

/// A stream that no request has been upgraded to yet.
pub(super) struct Unjoined {
    io: DuplexStream,
    link: Arc<Link>,
}

impl Unjoined {
    pub(super) fn new() -> (Upgraded, Self) {
        let (near, far) = tokio::io::duplex(PIPE);
        let link = Arc::<Link>::default();
        let upgraded = Upgraded {
            io: near,
            link: Arc::clone(&link),
        };
        (upgraded, Self { io: far, link })
    }

    /// Calls `hand_over`, which gives the other end to the handler, or drops it if the handler does not wait
    /// for it: `None` then. A handler that gets it may drop it at once, but after `hand_over` has returned, or
    /// on another thread.
    pub(super) fn join(self, hand_over: impl FnOnce(), counters: Arc<Counters>) -> Option<Tunnel> {
        HANDING_OVER.set(true);
        hand_over();
        HANDING_OVER.set(false);
        if self.link.unwanted.load(Relaxed) {
            return None;
        }
        counters.upgrades.add();
        Some(Tunnel {
            io: self.io,
            link: self.link,
            input_ended: false,
            counters,
        })
    }
}

impl Upgraded {
    /// Ready when the server shuts down. The peer's side has ended for this stream by then.
    pub fn server_shutdown(&self) -> impl Future<Output = ()> + Send + use<> {
        self.link.shutdown.clone().cancelled_owned()
    }

    /// The error of a write whose connection is gone.
    fn written<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match (result, self.link.failed.get()) {
            (Poll::Ready(Err(_)), Some(&kind)) => Poll::Ready(Err(kind.into())),
            (result, _) => result,
        }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let is_end = before > 0 && buf.remaining() == before;
        Poll::Ready(match self.link.failed.get() {
            Some(&kind) if is_end => Err(kind.into()),
            _ => Ok(()),
        })
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

thread_local! {
    /// Whether [`Unjoined::join`] hands a stream over on this thread.
    static HANDING_OVER: Cell<bool> = const { Cell::new(false) };
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        self.link.unwanted.store(HANDING_OVER.get(), Relaxed);
        self.link.abandoned.store(true, Release);
        self.link.connection.wake();
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("failed", &self.link.failed.get())
            .finish_non_exhaustive()
    }
}

impl Tunnel {
    /// The task to wake when [`Upgraded`] is dropped. Call it before you ask
    /// [`is_abandoned`](Self::is_abandoned).
    pub(crate) fn register(&self, task: &Waker) {
        self.link.connection.register(task);
    }

    /// Whether [`Upgraded`] was dropped. Its output may not be read to the end yet.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.link.abandoned.load(Acquire)
    }

    /// Whether somebody reads what the peer sends.
    fn takes_input(&self) -> bool {
        !self.input_ended && !self.is_abandoned()
    }

    /// Gives the reader data of the peer. Ready with how many bytes were taken: all, if the reader is gone.
    pub(crate) fn poll_input(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<usize> {
        if !self.takes_input() {
            return Poll::Ready(data.len());
        }
        let taken = ready!(Pin::new(&mut self.io).poll_write(cx, data));
        // It fails if the reader is gone.
        Poll::Ready(taken.unwrap_or(data.len()))
    }

    /// The reader gets the end, after what it has not read yet.
    pub(crate) fn end_input(&mut self) {
        self.input_ended = true;
        // It only sets a flag.
        let _ = Pin::new(&mut self.io).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }

    /// The reader gets this error in place of the end.
    pub(crate) fn fail(&mut self, kind: io::ErrorKind) {
        if !self.input_ended {
            let _ = self.link.failed.set(kind);
            self.end_input();
        }
    }

    /// The server shuts down.
    pub(crate) fn shut_down(&mut self) {
        self.link.shutdown.cancel();
        if !self.input_ended {
            self.end_input();
        }
    }

    /// Reads what the handler has written. Ready without data at the end of it.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<()> {
        Pin::new(&mut self.io)
            .poll_read(cx, buf)
            .map(|_never_fails| ())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.fail(io::ErrorKind::ConnectionReset);
        self.counters.upgrades_ended.add();
    }
}
