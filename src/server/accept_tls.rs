//! Second step of a connection: the TLS handshake.

use std::pin::pin;

use super::{
    client_addr::Peer, current_acceptor::AcceptorSource, handshake_limiter::HandshakePermit,
    socket::Socket,
};
use crate::{
    alpn::AlpnRule,
    error::Error,
    io::{self, Accepted, Failed},
};

/// Accepts a TLS session on a socket of which `received` was read already. If the protocol is not known
/// yet, the caller counts the handshake.
pub(super) async fn accept_tls(
    socket: Socket,
    received: Vec<u8>,
    peer: Peer,
    acceptor: &AcceptorSource<'_>,
    rule: AlpnRule<'_>,
    permit: &HandshakePermit<'_>,
) -> Result<Accepted<Socket>, Error> {
    let current;
    let acceptor = match acceptor {
        AcceptorSource::Fixed(acceptor) => *acceptor,
        AcceptorSource::Current(acceptor) => {
            current = acceptor.load();
            &***current
        }
    };
    let step = "the TLS handshake";
    let accepted = permit
        .run(
            step,
            pin!(io::accept_after(
                socket, received, peer.addr, acceptor, rule
            )),
        )
        .await;
    let error = match accepted {
        Ok(Ok(accepted)) => {
            if accepted.protocol.is_some() {
                permit.completed(peer.addr, &accepted.negotiated);
            }
            return Ok(accepted);
        }
        Ok(Err(Failed {
            error,
            mut io,
            final_bytes,
        })) => {
            permit.close(&mut io, &final_bytes).await;
            error
        }
        Err(error) => error,
    };
    Err(permit.failed(peer.addr, error))
}
