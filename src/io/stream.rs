//! Drives a TLS session on a socket.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    read_budget::ReadBudget,
    traffic::Traffic,
    unread::Unread,
    wire::{Replay, SocketWire, Writes},
};
use crate::{
    buffer::Buffer,
    counters::Counters,
    negotiated::Negotiated,
    time::{MinRate, Timer},
    tls::session::{MAX_PLAINTEXT, MAX_SEALED, TlsSession},
};

/// A TLS session on a socket, as tokio's `AsyncRead` and `AsyncWrite`.
///
/// Reads and writes are independent, as HTTP/2 needs: each call lends the socket to the session, and
/// ends before the next call begins. The stream buffers less than one record of plaintext
/// ([`MAX_PLAINTEXT`]) and the sealed bytes of the session ([`MAX_SEALED`](crate::tls::MAX_SEALED)).
///
/// Small writes leave as one record with the next flush. Large writes leave in full records at once.
/// `poll_shutdown` flushes, sends close_notify and shuts down the sending side of the socket. A read
/// of `0` bytes means that the peer sent close_notify; an end without it is
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). After a failure the stream sends the alert of the
/// session, as far as the socket takes it at once.
///
/// ```
/// use corelane::{AlpnMissing, TlsStream, tls::Cleartext};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// // Any `AsyncRead + AsyncWrite`, and any acceptor; a server would use `RustlsAcceptor`.
/// let (mut client, socket) = tokio::io::duplex(1024);
/// let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// client.write_all(preface).await?;
///
/// let mut stream = TlsStream::accept(socket, &Cleartext, AlpnMissing::Reject).await?;
/// let mut received = [0; 24];
/// stream.read_exact(&mut received).await?;
/// assert_eq!(&received, preface);
/// assert_eq!(stream.negotiated().tls_version, None);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct TlsStream<IO> {
    io: IO,
    replay: Replay,
    /// Plaintext that waits for a full record or a flush: fewer than [`MAX_PLAINTEXT`] bytes.
    staged: Buffer,
    closing: bool,
    /// The end of what was written is missing: the peer gets no close_notify.
    is_cut_off: bool,
    /// The sending side of the socket is shut down.
    fin_sent: bool,
    /// The peer's close_notify or the end of the socket was read.
    ended: bool,
    /// That end came without close_notify.
    truncated: bool,
    /// The session or the socket has failed. An end without close_notify is no failure.
    failed: bool,
    read_budget: ReadBudget,
    /// Whether the session's answers to a read wait for the caller's next flush.
    lazy_answers: bool,
    /// The reader that the flush wakes.
    reader: Option<Waker>,
    /// The slowest rate of writes that have to wait; `None`: they may wait without limit.
    stall: Option<MinRate>,
    traffic: Traffic,
    session: Box<dyn TlsSession>,
}

impl<IO> fmt::Debug for TlsStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("closing", &self.closing)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    pub(super) fn new(io: IO, replay: Replay, session: Box<dyn TlsSession>) -> Self {
        let traffic = Traffic::Pending {
            received: replay.len(),
            sent: 0,
        };
        Self {
            io,
            replay,
            staged: Buffer::default(),
            closing: false,
            is_cut_off: false,
            fin_sent: false,
            ended: false,
            truncated: false,
            failed: false,
            read_budget: ReadBudget::new(),
            lazy_answers: false,
            reader: None,
            stall: None,
            traffic,
            session,
        }
    }

    /// Turns on the time limits: a write fails if the socket takes less than `min_rate` bytes per
    /// second during `write_limit`. A connection that reads without end pauses.
    pub(crate) fn set_timer(&mut self, timer: Timer, write_limit: Duration, min_rate: u32) {
        self.stall = Some(MinRate::new(timer, write_limit, min_rate));
        self.read_budget.set_timer(timer);
    }

    /// Adds the bytes of the connection to these counters, those of the handshake too.
    pub(crate) fn set_counters(&mut self, counters: &Arc<Counters>) {
        self.traffic.count(counters);
    }

    /// For a caller that flushes after every read that has to wait: the session's answers to a
    /// read, for example tickets, then leave together with the caller's data.
    pub(crate) fn answer_with_flushes(&mut self) {
        self.lazy_answers = true;
    }

    /// Whether the peer has ended its side.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the peer ended its side without close_notify.
    pub(crate) fn was_truncated(&self) -> bool {
        self.truncated
    }

    /// The result of the handshake.
    pub fn negotiated(&self) -> Negotiated {
        self.session.negotiated()
    }

    /// Ends the server's side whatever has happened before: sends what is queued, then close_notify
    /// (RFC 8446 section 6.1), then FIN. A session that has failed has sent its alert already.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed {
            true => self.poll_fin(cx),
            false => Pin::new(self).poll_shutdown(cx),
        }
    }

    /// The end of what was written is missing. The stream ends without close_notify, so that the peer does
    /// not take it for complete (RFC 8446 section 6.1).
    #[cfg(feature = "http1")]
    pub(crate) fn cut_off(&mut self) {
        self.is_cut_off = true;
    }

    fn poll_fin(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.fin_sent {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.fin_sent = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Puts plaintext back that was read from the session.
    pub(crate) fn unread(self, plaintext: Vec<u8>) -> Self {
        Self {
            session: Box::new(Unread::new(plaintext, self.session)),
            ..self
        }
    }

    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(cx, |session, wire| session.handshake(wire))
    }

    /// Sends all sealed bytes.
    pub(super) fn poll_sealed_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(cx, |session, wire| session.flush(wire))
    }

    /// The socket, to deliver the final bytes after the session has ended.
    pub(crate) fn into_inner(self) -> IO {
        self.io
    }

    /// Lends the wire for one call, sends the alert if the call failed, and measures how long writes
    /// wait.
    fn call<T>(
        &mut self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut dyn TlsSession, &mut SocketWire<'_, '_, IO>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut wire = SocketWire {
            io: &mut self.io,
            replay: &mut self.replay,
            cx: &mut *cx,
            read_budget: &mut self.read_budget,
            writes: Writes::default(),
            received: 0,
        };
        let result = match call(&mut *self.session, &mut wire) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => {
                self.failed |= error.kind() != io::ErrorKind::UnexpectedEof;
                // Sends the alert as far as the socket takes it. The first error is the one to
                // report.
                let _ = self.session.flush(&mut wire);
                Poll::Ready(Err(error))
            }
            Ok(value) => Poll::Ready(Ok(value)),
        };
        let SocketWire {
            writes, received, ..
        } = wire;
        self.traffic.moved(received, writes.taken);
        if let (Some(stall), Some(blocked)) = (&mut self.stall, writes.blocked) {
            stall.moved(writes.taken);
            if !blocked {
                // The next write may find the socket full: it takes some bytes before that.
                stall.pause();
            } else if stall.poll_waiting(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        result
    }

    /// Seals the staged bytes and the beginning of `bufs` as whole records. Returns how much of `bufs`
    /// was taken: everything if the session took all whole records, with the rest staged.
    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let available = (self.staged.len() + offered) / MAX_PLAINTEXT * MAX_PLAINTEXT;
            // If the session took a part of the staged bytes only, the rest of them goes first.
            let whole = available.min(SEALED_AT_ONCE).max(self.staged.len());
            let mut staged = std::mem::take(&mut self.staged);
            let mut slices = [IoSlice::new(&[]); MAX_SLICES + 1];
            slices[0] = IoSlice::new(staged.as_slice());
            let mut room = whole - staged.len();
            for (slice, buf) in slices[1..].iter_mut().zip(bufs) {
                *slice = IoSlice::new(&buf[..buf.len().min(room)]);
                room -= slice.len();
            }
            let result = self.call(cx, |session, wire| session.write(wire, &slices));
            let sealed = match result {
                Poll::Ready(Ok(sealed)) => sealed,
                other => {
                    self.staged = staged;
                    return other;
                }
            };
            let from_staged = sealed.min(staged.len());
            staged.consume(from_staged);
            self.staged = staged;
            let taken = sealed - from_staged;
            if sealed == whole && offered - taken < MAX_PLAINTEXT {
                self.stage(bufs, taken);
                return Poll::Ready(Ok(offered));
            }
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    /// Buffers `bufs` without the first `skip` bytes, until a record is full or the caller flushes.
    fn stage(&mut self, bufs: &[IoSlice<'_>], mut skip: usize) {
        for buf in bufs {
            let skipped = skip.min(buf.len());
            self.staged.extend(&buf[skipped..]);
            skip -= skipped;
        }
    }

    fn poll_staged_sealed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.staged.is_empty() {
            let staged = std::mem::take(&mut self.staged);
            let slices = [IoSlice::new(staged.as_slice())];
            let result = self.call(cx, |session, wire| session.write(wire, &slices));
            self.staged = staged;
            let sealed = ready!(result)?;
            self.staged.consume(sealed);
        }
        Poll::Ready(Ok(()))
    }
}

/// How much plaintext the session gets in one call, bytes: the full records within its limit.
const SEALED_AT_ONCE: usize = MAX_SEALED / MAX_PLAINTEXT * MAX_PLAINTEXT;

/// How many slices of a vectored write are used; h2 passes two.
const MAX_SLICES: usize = 8;

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let result = this.call(cx, |session, wire| session.read(wire, buf));
        // The session may have to answer its input, for example a KeyUpdate.
        if this.session.wants_flush() {
            if !this.lazy_answers {
                // The next write reports a failure.
                let _ = this.poll_sealed_sent(cx);
            } else if result.is_pending() {
                this.reader = Some(cx.waker().clone());
            }
        }
        match &result {
            Poll::Ready(Ok(0)) => this.ended = true,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                this.ended = true;
                this.truncated = true;
            }
            _ => {}
        }
        result.map_ok(|_appended| ())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
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
        let this = self.get_mut();
        if this.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let empty = bufs.iter().take_while(|buf| buf.is_empty()).count();
        let bufs = &bufs[empty..];
        let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
        let offered = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if this.staged.len() + offered < MAX_PLAINTEXT {
            this.stage(bufs, 0);
            return Poll::Ready(Ok(offered));
        }
        this.poll_seal(cx, bufs, offered)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_staged_sealed(cx))?;
        ready!(this.poll_sealed_sent(cx))?;
        if let Some(reader) = this.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_staged_sealed(cx))?;
        if !this.closing {
            this.closing = true;
            if !this.is_cut_off {
                this.session.send_close_notify();
            }
        }
        ready!(this.poll_sealed_sent(cx))?;
        this.poll_fin(cx)
    }
}
