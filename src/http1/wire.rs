//! The stream under hyper's connection. The connection's driver reads from it too.

use std::{
    cell::{RefCell, RefMut},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::context::ConnectionContext;
use crate::{buffer::Buffer, scratch::Scratch};

/// How much the driver reads ahead of hyper, bytes: requests that a client pipelines.
const AHEAD: usize = 4096;

/// A handle of the stream. hyper's connection has another one.
pub(super) struct Wire<IO>(Rc<RefCell<State<IO>>>);

struct State<IO> {
    io: IO,
    context: Rc<ConnectionContext>,
    /// Read by the driver, for hyper.
    ahead: Buffer,
    /// The peer has ended its side, with or without a clean close of its transport: the framing of
    /// HTTP/1.1 tells what is complete.
    ended: bool,
    /// The end came without a clean close of the transport.
    truncated: bool,
    /// hyper waits for input.
    reading: bool,
    /// Something may wait for a flush.
    unflushed: bool,
    /// Bytes that the stream took.
    written: u64,
}

impl<IO> Clone for Wire<IO> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    pub(super) fn new(io: IO, context: Rc<ConnectionContext>) -> Self {
        Self(Rc::new(RefCell::new(State {
            io,
            context,
            ahead: Buffer::default(),
            ended: false,
            truncated: false,
            reading: false,
            unflushed: true,
            written: 0,
        })))
    }

    fn state(&self) -> RefMut<'_, State<IO>> {
        self.0.borrow_mut()
    }

    /// Call it before hyper is polled.
    pub(super) fn begin_poll(&self) {
        self.state().reading = false;
    }

    /// Whether hyper waits for input, after it was polled.
    pub(super) fn is_reading(&self) -> bool {
        self.state().reading
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    pub(super) fn is_flushed(&self) -> bool {
        !self.state().unflushed
    }

    pub(super) fn written(&self) -> u64 {
        self.state().written
    }

    /// Puts bytes back that hyper has read.
    pub(super) fn unread(&self, bytes: &[u8]) {
        let mut state = self.state();
        let rest = std::mem::take(&mut state.ahead);
        state.ahead.extend(bytes);
        state.ahead.extend(rest.as_slice());
    }

    /// Reads input while hyper does not. Ready with whether there is some; `false` is the end.
    pub(super) fn poll_ahead(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let state = &mut *self.state();
        if !state.ahead.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut scratch = Scratch::take();
        let mut buf = ReadBuf::new(&mut scratch[..AHEAD]);
        ready!(state.poll_io(cx, &mut buf))?;
        state.ahead.extend(buf.filled());
        Poll::Ready(Ok(!state.ended))
    }

    /// Reads input of a connection that was upgraded. No data is the clean end of the peer's side.
    pub(super) fn poll_read_upgraded(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.state();
        ready!(state.poll_some(cx, buf, usize::MAX))?;
        match buf.filled().is_empty() && state.truncated {
            true => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            false => Poll::Ready(Ok(())),
        }
    }

    /// Ends the server's side of a connection that was upgraded.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.state().io).poll_shutdown(cx)
    }

    /// Writes a response of the server itself, and no other part of the stream has one to write.
    pub(super) fn write(&self, cx: &mut Context<'_>, response: &[u8]) {
        // An error ends the connection, which is what follows.
        let _ = Pin::new(&mut self.clone()).poll_write(cx, response);
    }
}

impl<IO: AsyncRead + Unpin> State<IO> {
    fn poll_io(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.io).poll_read(cx, buf)) {
            Ok(()) => self.ended = buf.filled().len() == before,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended = true;
                self.truncated = true;
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads `limit` bytes at most.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let available = self.ahead.as_slice();
            let length = available.len().min(buf.remaining()).min(limit);
            buf.put_slice(&available[..length]);
            self.ahead.consume(length);
            return Poll::Ready(Ok(()));
        }
        if limit >= buf.remaining() {
            return self.poll_io(cx, buf);
        }
        let mut scratch = Scratch::take();
        let limit = limit.min(scratch.len());
        let mut part = ReadBuf::new(&mut scratch[..limit]);
        ready!(self.poll_io(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        let is_head = state.context.is_between_requests();
        let limit = match is_head {
            true => state.context.head.line_left(state.context.max_head),
            false => usize::MAX,
        };
        if limit == 0 {
            // The driver answers.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = state.poll_some(cx, buf, limit);
        if result.is_pending() {
            state.reading = true;
        } else if is_head {
            state.context.head.arrived(&buf.filled()[before..]);
        }
        result
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
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
        let state = &mut *self.0.borrow_mut();
        state.unflushed = true;
        let taken = ready!(Pin::new(&mut state.io).poll_write_vectored(cx, bufs))?;
        state.written += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        ready!(Pin::new(&mut state.io).poll_flush(cx))?;
        state.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Only flushes: the caller of [`serve`](super::serve) closes the stream.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
