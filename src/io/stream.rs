//! Drives a TLS session on a socket: each call lends the socket to the session.

use std::{
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
    wire::{Replay, SocketWire, Writes},
};
use crate::{
    buffer::Buffer,
    counters::Counters,
    negotiated::Negotiated,
    time::{LeastRate, Timer},
    tls::session::{MAX_PLAINTEXT, MAX_SEALED, TlsSession},
};

/// A TLS session on a socket, as tokio's `AsyncRead` and `AsyncWrite`.
///
/// Reading and writing go on independently, as HTTP/2 needs: each call lends the socket to the
/// session and is over before the next. What the stream holds is bounded: less than one record of
/// plaintext that waits for company ([`MAX_PLAINTEXT`]), and the session's sealed bytes
/// ([`MAX_SEALED`](crate::tls::MAX_SEALED)).
///
/// Small writes leave as one record with the next flush; large ones leave in full records at once.
/// `poll_shutdown` flushes, sends close_notify and ends the socket's sending side. Reading `0`
/// bytes is a close_notify by the peer; an end without it is
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). After any failure the alert that the session
/// made is sent as far as the socket takes it.
pub struct TlsStream<IO> {
    io: IO,
    replay: Replay,
    /// Plaintext that waits for a full record or a flush: fewer than [`MAX_PLAINTEXT`] bytes.
    staged: Buffer,
    closing: bool,
    /// The peer's close_notify or the end of the socket was read.
    ended: bool,
    /// The end came without close_notify.
    truncated: bool,
    read_budget: ReadBudget,
    /// Whether answers to what was read wait for the caller's next flush.
    lazy_answers: bool,
    /// Whom that flush lets read on.
    reader: Option<Waker>,
    /// Ends a write that makes too little progress; `None`: it may wait for good.
    stall: Option<LeastRate>,
    traffic: Traffic,
    session: Box<dyn TlsSession>,
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
            ended: false,
            truncated: false,
            read_budget: ReadBudget::new(),
            lazy_answers: false,
            reader: None,
            stall: None,
            traffic,
            session,
        }
    }

    /// Ends writes during which the socket takes less than `min_rate` bytes a second for this long,
    /// and lets a connection that reads without end make pauses.
    pub(crate) fn set_timer(&mut self, timer: Timer, write_limit: Duration, min_rate: u32) {
        self.stall = Some(LeastRate::new(timer, write_limit, min_rate));
        self.read_budget.set_timer(timer);
    }

    /// Counts its bytes there, those of the handshake too.
    pub(crate) fn set_counters(&mut self, counters: &Arc<Counters>) {
        self.traffic.count(counters);
    }

    /// For a caller that flushes after every read that has to wait: what a read makes the session
    /// answer, such as the tickets behind a handshake, goes with what else is sent by then.
    pub(crate) fn answer_with_flushes(&mut self) {
        self.lazy_answers = true;
    }

    /// Whether the peer will send nothing more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether that was said by the end of the socket alone.
    pub(crate) fn was_truncated(&self) -> bool {
        self.truncated
    }

    /// What the handshake agreed on.
    pub fn negotiated(&self) -> Negotiated {
        self.session.negotiated()
    }

    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(cx, |session, wire| session.handshake(wire))
    }

    /// Hands every sealed byte to the socket.
    pub(super) fn poll_sealed_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(cx, |session, wire| session.flush(wire))
    }

    /// The socket, for the last words after the session has ended.
    pub(crate) fn into_inner(self) -> IO {
        self.io
    }

    /// Lends the wire for one call, sends the alert if the call failed, and keeps the time of
    /// writes that wait.
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
                // The first error is the one to report; the alert goes as far as the socket takes
                // it.
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
                // Perhaps until the next write: a socket that is nearly full takes a little first.
                stall.pause();
            } else if stall.poll_waiting(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        result
    }

    /// Seals what is staged together with the head of `bufs`, as whole records. Answers how much
    /// of `bufs` was taken: all of it if the session took all that makes whole records, the rest
    /// being staged.
    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let available = (self.staged.len() + offered) / MAX_PLAINTEXT * MAX_PLAINTEXT;
            // A session that took only a part of what is staged gets the rest of it first.
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

    /// Keeps what follows the first `skip` bytes of `bufs` until there is more or a flush.
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

/// Plaintext given to the session in one call: as many full records as it is to hold sealed.
const SEALED_AT_ONCE: usize = MAX_SEALED / MAX_PLAINTEXT * MAX_PLAINTEXT;

/// Slices of one vectored write that are looked at; h2 gives two.
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
        // What the peer sent may have asked for an answer (a KeyUpdate, say).
        if this.session.wants_flush() {
            if !this.lazy_answers {
                // If that fails the next write reports it.
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
            this.session.send_close_notify();
        }
        ready!(this.poll_sealed_sent(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
