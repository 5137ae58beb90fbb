//! Session ticket keys (RFC 5077, RFC 8446 section 4.6.1) for servers on crate openssl, which does not
//! wrap OpenSSL's callback for them.
//!
//! OpenSSL seals a ticket with AES-256-CBC and HMAC-SHA-256. The caller's [`TicketKeys`] choose the
//! keys for each ticket. The name of the key is a part of the ticket, in the clear and authenticated.
//!
//! This is the only crate of the workspace with unsafe code. The other calls that crate openssl lacks
//! and that resuming and verifying need are therefore here too.

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

mod callback;
mod calls;
mod data;
mod fips;
mod groups;
// The older interface also exists in OpenSSL 3, so that the tests run it.
#[cfg(any(not(openssl_3), test))]
mod hmac;
mod keys;
mod lent;
#[cfg(openssl_3)]
mod mac;
mod read;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use openssl::{error::ErrorStack, ssl::SslContextBuilder};

/// The crate whose types are part of this one's interface.
pub use openssl;

pub use self::{
    calls::{
        VerifyError, add_crl, ciphers, forget_session, has_pending, set_read_ahead,
        set_session_id_context, set_session_lifetime,
    },
    fips::fips_provider,
    groups::{key_exchange_group, set_groups},
    keys::{NAME_LEN, Opening, TicketKey, TicketKeys},
    lent::Lent,
    read::read_into,
};

/// Makes the sessions of a server use these keys for their tickets.
///
/// A connection that a server name callback moves to another context keeps the callback of the first
/// one, and finds the keys of its present one: set keys on both, or it gets no ticket.
///
/// # Errors
///
/// When OpenSSL is out of memory.
pub fn set_ticket_keys(
    context: &mut SslContextBuilder,
    keys: impl TicketKeys,
) -> Result<(), ErrorStack> {
    callback::store(context, Arc::new(keys))?;
    data::install(context)?;
    #[cfg(openssl_3)]
    mac::install(context)?;
    #[cfg(not(openssl_3))]
    hmac::install(context)?;
    Ok(())
}
