//! Replaces the ticketer in builds without a crypto crate to seal tickets with.

use std::sync::Arc;

use ::rustls::server::ProducesTickets;

use super::keys::TicketKeys;
use crate::error::Error;

pub(crate) fn ticketer(
    _keys: &TicketKeys,
    _policy: &[u8],
) -> Result<Arc<dyn ProducesTickets>, Error> {
    Err(Error::unsupported(
        "rustls",
        "ticket keys",
        "no crypto crate is compiled in to seal tickets: build with the feature aws-lc-rs or ring",
    ))
}
