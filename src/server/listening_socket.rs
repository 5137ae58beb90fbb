//! A listening socket of a worker: TCP or Unix.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use socket2::SockRef;

use super::{accepted_stream::Accepted, unix_socket::UnixSocket};

/// What a server listens on, each once.
pub(super) struct Addresses {
    pub(super) tcp: Vec<SocketAddr>,
    pub(super) unix: Vec<PathBuf>,
}

#[derive(Debug)]
pub(super) enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// A second handle of the socket, on which monoio waits.
pub(super) enum Readiness {
    Tcp(monoio::net::TcpListener),
    Unix(monoio::net::UnixListener),
}

impl ListeningSocket {
    /// Must be called inside the runtime of the worker.
    pub(super) fn prepare(&self) -> io::Result<Readiness> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                set_nodelay(listener)?;
                let clone = listener.try_clone()?;
                monoio::net::TcpListener::from_std(clone).map(Readiness::Tcp)
            }
            Self::Unix(socket) => {
                socket.listener.set_nonblocking(true)?;
                let clone = socket.listener.try_clone()?;
                monoio::net::UnixListener::from_std(clone).map(Readiness::Unix)
            }
        }
    }

    /// A Unix socket has none.
    pub(super) fn local_addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    pub(super) fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix(socket) => {
                let (stream, _unnamed) = socket.listener.accept()?;
                Ok(Accepted::Unix(stream))
            }
        }
    }

    /// Another server accepts from the socket.
    pub(super) fn hand_over(&self) {
        if let Self::Unix(socket) = self {
            socket.leave_file();
        }
    }
}

impl Readiness {
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.readable(false).await,
            Self::Unix(listener) => listener.readable(false).await,
        }
    }
}

/// HTTP/2 sends in batches already, which Nagle's algorithm would only delay. Connections inherit the
/// option from their listener.
fn set_nodelay(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).set_tcp_nodelay(true)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn connections_inherit_nodelay_from_their_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        set_nodelay(&listener).expect("TCP");
        let addr = listener.local_addr().expect("bound");
        let _client = TcpStream::connect(addr).expect("connects");
        let (accepted, _) = listener.accept().expect("accepted");
        assert!(accepted.nodelay().expect("TCP"));
    }
}
