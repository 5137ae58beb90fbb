//! What the clients have in common.

use std::{future::Future, pin::Pin, time::Instant};

use monoio::{net::TcpStream, time::timeout_at};

use super::{Offer, Outcome, options::Target};

/// The outcome of one offer, to be waited for.
pub(super) type Answer<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Something that makes offers.
pub(super) trait Library {
    /// Gets ready to make this offer, on a connection of its own, which begins when the answer is
    /// first polled. An error where there is no way to make it: why.
    fn offer<'a>(&'a self, offer: &'a Offer, target: &'a Target) -> Result<Answer<'a>, String>;
}

/// Connects by TCP.
pub(super) async fn connect(target: &Target, deadline: Instant) -> Result<TcpStream, Outcome> {
    match timeout_at(deadline.into(), TcpStream::connect_addr(target.addr)).await {
        Ok(Ok(socket)) => {
            // A request that waits for an acknowledgement would only be slower.
            let _ = socket.set_nodelay(true);
            Ok(socket)
        }
        Ok(Err(error)) => Err(Outcome::Unreachable(error.to_string())),
        Err(_) => Err(Outcome::Unreachable(format!(
            "no connection within {:?}",
            target.timeout
        ))),
    }
}
