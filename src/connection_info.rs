//! Facts about a request's connection, for handlers.

use std::{
    fmt::{self, Display},
    net::{Ipv4Addr, SocketAddr},
};

use crate::negotiated::Negotiated;

/// The connection that a request arrived on: [`Body::connection`](crate::Body::connection).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The client's address. Behind a proxy of
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol) it is the one that the proxy sends.
    /// `None` on a Unix socket, whose peers have no address, unless a proxy sends one.
    pub peer_addr: Option<SocketAddr>,
    /// The address of the proxy that sent the client's address. `None` without such a proxy, where
    /// [`peer_addr`](Self::peer_addr) is the peer address of the socket, and for a proxy on a Unix
    /// socket.
    pub proxy_addr: Option<SocketAddr>,
    /// The local address of the socket; `None` on a Unix socket.
    pub local_addr: Option<SocketAddr>,
    /// The worker that serves the connection, counted from 0.
    pub worker: usize,
    /// The name of the TLS backend, [`TlsAcceptor::backend`](crate::tls::TlsAcceptor::backend).
    pub backend: &'static str,
    /// The result of the TLS handshake.
    pub negotiated: Negotiated,
}

impl Default for ConnectionInfo {
    /// A placeholder for tests of a service, without a socket: addresses of the loopback interface
    /// and no TLS.
    fn default() -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            peer_addr: Some(addr),
            proxy_addr: None,
            local_addr: Some(addr),
            worker: 0,
            backend: "none",
            negotiated: Negotiated::default(),
        }
    }
}

impl ConnectionInfo {
    /// The client for a log: [`peer_addr`](Self#structfield.peer_addr), or `unix:`.
    pub fn peer(&self) -> impl Display + use<> {
        display_addr(self.peer_addr)
    }
}

/// An address for a log; `unix:` stands for none, as in nginx.
pub(crate) fn display_addr(addr: Option<SocketAddr>) -> impl Display {
    DisplayAddr(addr)
}

struct DisplayAddr(Option<SocketAddr>);

impl Display for DisplayAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(addr) => addr.fmt(f),
            None => f.write_str("unix:"),
        }
    }
}
