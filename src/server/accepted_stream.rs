//! A connection that was accepted: a TCP or a Unix socket.

use std::{
    fmt, io,
    net::{self, SocketAddr},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net as unix,
    },
};

use monoio::net::{TcpStream, UnixStream};

/// A connection that the caller accepted, for [`serve_connection`](crate::serve_connection): made of
/// monoio's `TcpStream` or `UnixStream`.
pub struct AcceptedStream(pub(super) Stream);

pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for AcceptedStream {
    fn from(stream: TcpStream) -> Self {
        Self(Stream::Tcp(stream))
    }
}

impl From<UnixStream> for AcceptedStream {
    fn from(stream: UnixStream) -> Self {
        Self(Stream::Unix(stream))
    }
}

impl fmt::Debug for AcceptedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stream::Tcp(stream) => stream.fmt(f),
            Stream::Unix(stream) => stream.fmt(f),
        }
    }
}

impl Stream {
    pub(super) fn peer_addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(stream) => stream.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }
}

/// An accepted connection before the runtime has it.
pub(super) enum Accepted {
    Tcp(net::TcpStream, SocketAddr),
    Unix(unix::UnixStream),
}

impl Accepted {
    /// The peer of a Unix socket has none.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, peer) => Some(*peer),
            Self::Unix(_) => None,
        }
    }

    /// With the lowest free descriptor, if there is one.
    pub(super) fn with_lowest_descriptor(self) -> Self {
        match self {
            Self::Tcp(stream, peer) => Self::Tcp(stream.try_clone().unwrap_or(stream), peer),
            Self::Unix(stream) => Self::Unix(stream.try_clone().unwrap_or(stream)),
        }
    }

    /// On io_uring the socket stays blocking: the ring waits without blocking the thread, and calls
    /// that must not wait say so by a flag.
    pub(super) fn into_stream(self) -> io::Result<Stream> {
        let nonblocking = monoio::utils::is_legacy();
        match self {
            Self::Tcp(stream, _) => {
                if nonblocking {
                    stream.set_nonblocking(true)?;
                }
                TcpStream::from_std(stream).map(Stream::Tcp)
            }
            Self::Unix(stream) => {
                if nonblocking {
                    stream.set_nonblocking(true)?;
                }
                UnixStream::from_std(stream).map(Stream::Unix)
            }
        }
    }
}

impl AsRawFd for Accepted {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream, _) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}
