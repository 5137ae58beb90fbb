//! Hands certificate and key to native-tls, and explains what it refuses.

use super::{
    accepted_keys::AcceptedKeys,
    identity::{Identity, Source},
    pem,
    pkcs8::pkcs8,
    security_level,
};
use crate::error::Error;

pub(super) const BACKEND: &str = "native-tls";

pub(super) fn native_identity(identity: &Identity) -> Result<::native_tls::Identity, Error> {
    identity.check(&AcceptedKeys::by_openssl(BACKEND))?;
    match &identity.source {
        Source::Pem { chain, key } => {
            let key = pkcs8(identity, chain, key)?;
            let chain = chain.iter().map(|der| pem::encode("CERTIFICATE", der));
            let chain: String = chain.collect();
            ::native_tls::Identity::from_pkcs8(chain.as_bytes(), key.expose()).map_err(in_words)
        }
        Source::Pkcs12 { der, password } => {
            ::native_tls::Identity::from_pkcs12(der.expose(), password.expose()).map_err(|error| {
                Error::config("the PKCS#12 file cannot be opened: check the password")
                    .with_source(error)
            })
        }
    }
}

/// What the system's OpenSSL refuses by its security level is said in words.
pub(super) fn in_words(error: ::native_tls::Error) -> Error {
    security_level::refusal(&error.to_string()).unwrap_or_else(|| {
        Error::config("native-tls cannot use this certificate with this key").with_source(error)
    })
}
