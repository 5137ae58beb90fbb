//! A socket that a service connects.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use monoio::net::{TcpStream, UnixStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{accepted_stream::Stream, socket::Socket};

/// A connection that a service has opened, for instance to a database, with tokio's I/O traits: made of
/// monoio's `TcpStream` or `UnixStream` on the worker's thread. It reads and writes as the server itself
/// does: on io_uring by completion, on epoll by readiness.
///
/// After a write was pending, the next one has to begin with the same bytes.
pub struct ClientStream(Socket);

impl TryFrom<TcpStream> for ClientStream {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        Socket::new(Stream::Tcp(stream)).map(Self)
    }
}

impl TryFrom<UnixStream> for ClientStream {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        Socket::new(Stream::Unix(stream)).map(Self)
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").finish_non_exhaustive()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
