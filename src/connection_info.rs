//! What a request's connection is, for handlers.

use std::net::SocketAddr;

use crate::negotiated::Negotiated;

/// The connection that a request came in on: [`Body::connection`](crate::Body::connection).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The client's address.
    pub peer_addr: SocketAddr,
    /// The address that it connected to.
    pub local_addr: SocketAddr,
    /// The worker that serves it, counted from 0.
    pub worker: usize,
    /// The TLS backend's name, [`TlsAcceptor::backend`](crate::tls::TlsAcceptor::backend).
    pub backend: &'static str,
    /// What the TLS handshake agreed on.
    pub negotiated: Negotiated,
}
