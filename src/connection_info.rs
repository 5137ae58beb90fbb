//! What a request's connection is, for handlers.

use std::net::SocketAddr;

use crate::negotiated::Negotiated;

/// The connection that a request came in on: [`Body::connection`](crate::Body::connection).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The client's address. Behind a proxy of
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol) it is what the proxy says.
    pub peer_addr: SocketAddr,
    /// The address of the proxy that named the client; `None`: nobody did, and
    /// [`peer_addr`](Self::peer_addr) is that of the socket's other end.
    pub proxy_addr: Option<SocketAddr>,
    /// The address of this end of the socket.
    pub local_addr: SocketAddr,
    /// The worker that serves it, counted from 0.
    pub worker: usize,
    /// The TLS backend's name, [`TlsAcceptor::backend`](crate::tls::TlsAcceptor::backend).
    pub backend: &'static str,
    /// What the TLS handshake agreed on.
    pub negotiated: Negotiated,
}
