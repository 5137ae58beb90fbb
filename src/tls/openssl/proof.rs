//! Proves a new acceptor by handshakes.

use std::sync::OnceLock;

use openssl_ticket_keys::openssl::{
    error::ErrorStack,
    ex_data::Index,
    ssl::{Ssl, SslRef, SslVerifyMode, SslVersion},
};

use super::policy::BACKEND;
use crate::{
    error::{Chain, Error},
    tls::{
        TlsConfig,
        self_handshake::{complete, is_provable},
        session::TlsSession,
    },
};

/// `session` makes a session that was [prepared](prepare). Warns if clients that have TLS 1.2 only
/// cannot connect although `lowest` accepts them.
///
/// # Errors
///
/// [`Error::is_config`] if clients that have TLS 1.2 and 1.3 cannot connect. After a change of the user,
/// which may expect something of clients, it warns.
pub(super) fn prove(
    config: &TlsConfig,
    lowest: Option<SslVersion>,
    session: impl Fn() -> Result<Box<dyn TlsSession>, ErrorStack>,
) -> Result<(), Error> {
    if !is_provable(&config.identity)? {
        return Ok(());
    }
    let handshake = |highest| {
        let failed = |error| Error::config("OpenSSL cannot start a session").with_source(error);
        complete(BACKEND, session().map_err(failed)?, highest)
    };
    let warn = |error: Error, message| {
        let error = config.identity.locate(error);
        tracing::warn!(error = %Chain(&error), message);
    };
    match handshake(SslVersion::TLS1_3) {
        Err(error) if config.openssl.iter().next().is_some() => {
            warn(error, "a client cannot connect after TlsConfig::openssl");
            return Ok(());
        }
        result => result?,
    }
    if lowest != Some(SslVersion::TLS1_3)
        && let Err(error) = handshake(SslVersion::TLS1_2)
    {
        warn(error, "clients without TLS 1.3 cannot connect");
    }
    Ok(())
}

/// Makes this connection a proof: its client presents no certificate.
pub(super) fn prepare(ssl: &mut SslRef) -> Result<(), ErrorStack> {
    ssl.set_verify(SslVerifyMode::NONE);
    ssl.set_ex_data(index()?, Proof);
    Ok(())
}

/// Whether this connection is a proof, of which no one captures the packets.
pub(super) fn is_proof(ssl: &SslRef) -> bool {
    index().is_ok_and(|index| ssl.ex_data(index).is_some())
}

struct Proof;

fn index() -> Result<Index<Ssl, Proof>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, Proof>> = OnceLock::new();
    if let Some(index) = INDEX.get() {
        return Ok(*index);
    }
    // If two threads come here, one index stays unused.
    let new = Ssl::new_ex_index()?;
    Ok(*INDEX.get_or_init(|| new))
}
