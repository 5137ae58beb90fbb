//! A socket that collects written bytes and sends them in one write on request, so that the server
//! reads the same bytes in the same pieces each time.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use rustix::net::Shutdown;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Clones share the socket.
#[derive(Clone, Debug)]
pub struct Wire(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    outgoing: Mutex<Outgoing>,
}

#[derive(Debug, Default)]
struct Outgoing {
    bytes: BytesMut,
    /// Flushes send nothing.
    held: bool,
}

impl Wire {
    /// A wire whose flushes send.
    pub fn new(socket: TcpStream) -> Self {
        Self(Arc::new(Shared {
            socket,
            outgoing: Mutex::default(),
        }))
    }

    /// From now on only [`Self::send`] and shutdown send.
    pub fn hold(&self) {
        self.outgoing().held = true;
    }

    /// Whether something waits to be sent.
    pub fn has_more(&self) -> bool {
        !self.outgoing().bytes.is_empty()
    }

    /// Sends the written bytes.
    pub async fn send(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx)).await
    }

    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.outgoing();
        while !outgoing.bytes.is_empty() {
            match self.0.socket.try_write(&outgoing.bytes) {
                Ok(sent) => outgoing.bytes.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.socket.poll_write_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.0
            .outgoing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.0.socket.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.socket.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing().bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing().held {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        match rustix::net::shutdown(&self.0.socket, Shutdown::Write) {
            // The server has closed the connection already.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}
