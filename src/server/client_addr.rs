//! First step of a connection: finds out who the client is. A proxy names it in a PROXY header.

use std::{net::SocketAddr, pin::pin};

use super::{handshake_limiter::HandshakePermit, socket::Socket};
use crate::{error::Error, io};

/// The other end of a connection.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    /// The address of the client; one of a Unix socket has none.
    pub(super) addr: Option<SocketAddr>,
    /// The address of the proxy that named the client, if it has one.
    pub(super) proxy_addr: Option<SocketAddr>,
}

impl Peer {
    /// A client that is connected without a proxy.
    pub(super) fn direct(addr: Option<SocketAddr>) -> Self {
        Self {
            addr,
            proxy_addr: None,
        }
    }
}

/// Reads the PROXY header that a proxy has to send first. `received` gets the bytes that came with
/// it and belong to the TLS session.
pub(super) async fn read_client_addr(
    socket: &mut Socket,
    received: &mut Vec<u8>,
    proxy_addr: Option<SocketAddr>,
    permit: &HandshakePermit<'_>,
) -> Result<Peer, Error> {
    let step = "the PROXY header";
    let header = permit
        .run(step, pin!(io::read_proxy_header(socket, received)))
        .await;
    let error = match header {
        Ok(Ok(Some(client_addr))) => {
            return Ok(Peer {
                addr: Some(client_addr),
                proxy_addr,
            });
        }
        // The proxy speaks for itself, in a health check for example.
        Ok(Ok(None)) => return Ok(Peer::direct(proxy_addr)),
        Ok(Err(error)) => {
            permit.close(socket, b"").await;
            error
        }
        Err(error) => error,
    };
    Err(permit.failed(proxy_addr, error))
}
