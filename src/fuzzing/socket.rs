//! A socket in memory.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Clone)]
pub(super) struct Socket(Rc<RefCell<Queues>>);

#[derive(Default)]
struct Queues {
    incoming: VecDeque<u8>,
    ended: bool,
    outgoing: Vec<Vec<u8>>,
    room: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Default for Socket {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Queues {
            room: usize::MAX,
            ..Queues::default()
        })))
    }
}

impl Socket {
    pub(super) fn receives(&self, bytes: &[u8]) {
        let queues = &mut *self.0.borrow_mut();
        queues.incoming.extend(bytes);
        if let Some(reader) = queues.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn ends(&self) {
        self.0.borrow_mut().ended = true;
        self.receives(&[]);
    }

    pub(super) fn takes(&self, room: usize) {
        let queues = &mut *self.0.borrow_mut();
        queues.room = room;
        if room > 0
            && let Some(writer) = queues.writer.take()
        {
            writer.wake();
        }
    }

    /// The bytes that the server has written.
    #[cfg(feature = "http1")]
    pub(super) fn written(&self) -> usize {
        self.0.borrow().outgoing.iter().map(Vec::len).sum()
    }

    pub(super) fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.borrow_mut().outgoing)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let queues = &mut *self.0.borrow_mut();
        if queues.incoming.is_empty() && !queues.ended {
            queues.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (front, _) = queues.incoming.as_slices();
        let n = front.len().min(buf.remaining());
        buf.put_slice(&front[..n]);
        queues.incoming.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let queues = &mut *self.0.borrow_mut();
        let n = buf.len().min(queues.room);
        if n == 0 && !buf.is_empty() {
            queues.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        queues.room -= n;
        queues.outgoing.push(buf[..n].to_vec());
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
