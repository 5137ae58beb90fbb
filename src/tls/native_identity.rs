//! Hands certificate and key to native-tls, and explains what it refuses.

use super::{
    accepted_keys::AcceptedKeys,
    identity::{Identity, Source},
    key_kind::KeyKind,
    pem,
    pkcs8::pkcs8,
};
use crate::error::Error;

pub(super) const BACKEND: &str = "native-tls";

/// OpenSSL's kinds of keys that a client can verify under TLS 1.2. It refuses smaller RSA keys by its
/// security level, and larger ones as a whole.
const ACCEPTED_KEYS: AcceptedKeys = AcceptedKeys {
    backend: BACKEND,
    kinds: &[
        KeyKind::Rsa,
        KeyKind::RsaPss,
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
        KeyKind::EcdsaSecp256k1,
        KeyKind::EcdsaOther,
        KeyKind::Ed25519,
        KeyKind::Ed448,
    ],
    rsa_bits: 2048..=16_384,
    words: "RSA of 2048 to 16384 bits, ECDSA on a named curve, Ed25519 and Ed448",
};

pub(super) fn native_identity(identity: &Identity) -> Result<::native_tls::Identity, Error> {
    identity.check(&ACCEPTED_KEYS)?;
    match &identity.source {
        Source::Pem { chain, key } => {
            let key = pkcs8(identity, chain, key)?;
            let chain = chain.iter().map(|der| pem::encode("CERTIFICATE", der));
            let chain: String = chain.collect();
            ::native_tls::Identity::from_pkcs8(chain.as_bytes(), key.expose()).map_err(in_words)
        }
        Source::Pkcs12 { der, password } => {
            ::native_tls::Identity::from_pkcs12(der.expose(), password.expose()).map_err(|error| {
                Error::config("the PKCS#12 file cannot be opened: check the password").with(error)
            })
        }
    }
}

/// What the system's OpenSSL refuses by its security level is said in words.
pub(super) fn in_words(error: ::native_tls::Error) -> Error {
    let text = error.to_string();
    let level = "the security level of the system's OpenSSL (openssl.cnf) refuses";
    if text.contains("md too weak") {
        return Error::config(format!(
            "{level} the hash that the certificate is signed with: have it issued again with SHA-256"
        ));
    }
    if text.contains("key too small") {
        return Error::config(format!(
            "{level} a key of the chain as too small: use RSA of 2048 bits or more, or ECDSA on P-256"
        ));
    }
    Error::config("native-tls cannot use this certificate with this key").with(error)
}
