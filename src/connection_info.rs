//! Facts about a request's connection, for handlers.

use std::net::{Ipv4Addr, SocketAddr};

use crate::negotiated::Negotiated;

/// The connection that a request arrived on: [`Body::connection`](crate::Body::connection).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The client's address. Behind a proxy of
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol) it is the one that the proxy sends.
    pub peer_addr: SocketAddr,
    /// The address of the proxy that sent the client's address. `None` without such a proxy:
    /// [`peer_addr`](Self::peer_addr) is then the peer address of the socket.
    pub proxy_addr: Option<SocketAddr>,
    /// The local address of the socket.
    pub local_addr: SocketAddr,
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
            peer_addr: addr,
            proxy_addr: None,
            local_addr: addr,
            worker: 0,
            backend: "none",
            negotiated: Negotiated::default(),
        }
    }
}
