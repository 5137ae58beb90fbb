//! Session tickets where no crypto provider is compiled in to seal them.

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
        "nothing is compiled in to seal tickets with: build with the feature aws-lc-rs or ring",
    ))
}
