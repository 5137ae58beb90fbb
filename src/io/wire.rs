//! The wire that is lent to a session: a socket together with the context of the task.

use std::{
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::read_budget::ReadBudget;

/// Bytes that were read before the session existed. The session reads them before the socket's.
#[derive(Default)]
pub(super) struct Replay {
    bytes: Vec<u8>,
    replayed: usize,
}

impl Replay {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, replayed: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.replayed
    }

    fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        let rest = &self.bytes[self.replayed..];
        if rest.is_empty() {
            return None;
        }
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.replayed += n;
        if self.replayed == self.bytes.len() {
            *self = Self::default();
        }
        Some(n)
    }
}

pub(super) struct SocketWire<'a, 'cx, IO> {
    pub(super) io: &'a mut IO,
    pub(super) replay: &'a mut Replay,
    pub(super) cx: &'a mut Context<'cx>,
    pub(super) read_budget: &'a mut ReadBudget,
    pub(super) writes: Writes,
    /// Bytes that were read from the socket.
    pub(super) received: usize,
}

/// The result of the writes of one call.
#[derive(Clone, Copy, Default)]
pub(super) struct Writes {
    /// Bytes that the socket took.
    pub(super) taken: usize,
    /// Whether the last write found the socket full; `None`: there was no write.
    pub(super) blocked: Option<bool>,
}

fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<IO: AsyncRead + Unpin> Read for SocketWire<'_, '_, IO> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(n) = self.replay.read(buf) {
            return Ok(n);
        }
        if self.read_budget.poll_ready(self.cx).is_pending() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut buf = ReadBuf::new(buf);
        let poll = Pin::new(&mut *self.io).poll_read(self.cx, &mut buf);
        match poll {
            Poll::Pending => self.read_budget.reset(),
            Poll::Ready(_) => self.read_budget.consume(buf.filled().len()),
        }
        would_block(poll)?;
        self.received += buf.filled().len();
        Ok(buf.filled().len())
    }
}

impl<IO: AsyncWrite + Unpin> SocketWire<'_, '_, IO> {
    fn wrote(&mut self, poll: Poll<io::Result<usize>>) -> io::Result<usize> {
        self.writes.blocked = Some(poll.is_pending());
        let n = would_block(poll)?;
        self.writes.taken += n;
        Ok(n)
    }
}

impl<IO: AsyncWrite + Unpin> Write for SocketWire<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let poll = Pin::new(&mut *self.io).poll_write(self.cx, buf);
        self.wrote(poll)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let poll = Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs);
        self.wrote(poll)
    }

    fn flush(&mut self) -> io::Result<()> {
        would_block(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}
