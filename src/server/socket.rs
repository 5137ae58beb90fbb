//! The socket of a connection: waits for completions on io_uring and for readiness on epoll.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use monoio::{
    io::IntoPollIo,
    net::{tcp::stream_poll::TcpStreamPoll, unix::stream_poll::UnixStreamPoll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::accepted_stream::Stream;

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        use super::ring_socket::RingSocket;
    } else {
        /// Without io_uring it is never used.
        type RingSocket = TcpStreamPoll;
    }
}

pub(super) enum Socket {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Ring(RingSocket),
    /// Would also work on io_uring, through monoio's nested epoll, but costs one more system call per
    /// wake-up and one more per read.
    Readiness(TcpStreamPoll),
    UnixReadiness(UnixStreamPoll),
}

impl Socket {
    pub(super) fn new(stream: Stream) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if !monoio::utils::is_legacy() {
            return Ok(Self::Ring(RingSocket::new(stream)));
        }
        Ok(match stream {
            Stream::Tcp(stream) => Self::Readiness(stream.into_poll_io()?),
            Stream::Unix(stream) => Self::UnixReadiness(stream.into_poll_io()?),
        })
    }

    /// Sends a few bytes on a socket on which nothing is queued; `poll_shutdown` has to follow. An
    /// error is ignored, because the connection ends anyway.
    pub(super) async fn send_final(&mut self, bytes: &[u8]) {
        match self {
            _ if bytes.is_empty() => {}
            #[cfg(target_os = "linux")]
            Self::Ring(socket) => socket.send_final(bytes),
            socket => {
                let _ = poll_fn(|cx| Pin::new(&mut *socket).poll_write(cx, bytes)).await;
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Ring(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Readiness(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::UnixReadiness(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Ring(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Readiness(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::UnixReadiness(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self.get_mut(), bufs) {
            (Self::Ring(socket), _) => Pin::new(socket).poll_write_vectored(cx, bufs),
            // send(2) costs less than sendmsg(2) with one buffer.
            (Self::Readiness(socket), [one]) => Pin::new(socket).poll_write(cx, one),
            (Self::Readiness(socket), _) => Pin::new(socket).poll_write_vectored(cx, bufs),
            (Self::UnixReadiness(socket), [one]) => Pin::new(socket).poll_write(cx, one),
            (Self::UnixReadiness(socket), _) => Pin::new(socket).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Ring(socket) => Pin::new(socket).poll_flush(cx),
            Self::Readiness(socket) => Pin::new(socket).poll_flush(cx),
            Self::UnixReadiness(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match self.get_mut() {
            Self::Ring(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Readiness(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::UnixReadiness(socket) => Pin::new(socket).poll_shutdown(cx),
        };
        match ended {
            // The peer has reset the connection. A read or a write reports that; a shutdown has
            // nothing left to do.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                Poll::Ready(Ok(()))
            }
            ended => ended,
        }
    }
}
