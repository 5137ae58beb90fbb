//! What all clients share: the target, the connection, and the interface of a client.

use std::{cell::Cell, future::Future, net::SocketAddr, pin::Pin, time::Instant};

use monoio::{net::TcpStream, time::timeout_at};

use super::{
    offer::Offer,
    outcome::Outcome,
    patience::{Patience, Wait},
    server_name::ServerName,
};

/// The server to which offers are made.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) name: ServerName,
    /// How long to wait for it.
    pub(crate) patience: Patience,
    /// The alert with which the server asked for a client certificate that it accepts.
    pub(crate) certificate_alert: Cell<Option<u8>>,
}

/// The future outcome of one offer.
pub(crate) type PendingOutcome<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A client that makes offers.
pub(crate) trait OfferClient {
    /// Prepares an offer on a new connection, which begins when the outcome is first polled. The
    /// error says why this client cannot make the offer.
    fn offer<'a>(
        &'a self,
        offer: &'a Offer,
        target: &'a Target,
    ) -> Result<PendingOutcome<'a>, String>;
}

/// Connects by TCP.
pub(crate) async fn connect(target: &Target, deadline: Instant) -> Result<TcpStream, Outcome> {
    match timeout_at(deadline.into(), TcpStream::connect_addr(target.addr)).await {
        Ok(Ok(socket)) => {
            // Nagle's algorithm would only delay the request.
            let _ = socket.set_nodelay(true);
            Ok(socket)
        }
        Ok(Err(error)) => Err(Outcome::Unreachable(error.to_string())),
        Err(_) => Err(Outcome::Unreachable(format!(
            "no connection within {:?}",
            target.patience.limit(Wait::Handshake)
        ))),
    }
}
