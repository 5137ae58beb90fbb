//! Checks an identity before a backend gets it, so that every backend refuses it with the same words.

use super::{
    accepted_keys::AcceptedKeys,
    certificate,
    identity::{Identity, Source},
    key_kind::KeyKind,
};
use crate::error::Error;

impl Identity {
    /// Checks what no backend serves, and what this one does not accept.
    pub(super) fn check(&self, accepted: &AcceptedKeys) -> Result<(), Error> {
        let chain = match self.chain() {
            // The backend opens what this build cannot.
            Err(error) if error.is_unsupported() => return Ok(()),
            chain => chain?,
        };
        let Some(leaf) = chain.first() else {
            return Ok(());
        };
        accepted.check(leaf.key)?;
        let Source::Pem { key, .. } = &self.source else {
            return Ok(());
        };
        let Some(private) = certificate::private_key(key) else {
            return Err(Error::config(
                "the private key cannot be parsed: its content is not what its `-----BEGIN` says \
                 (PKCS#8, SEC1 or PKCS#1)",
            ));
        };
        match private {
            // A curve without a name can be the one of the certificate.
            Some(private) if private.kind != KeyKind::EcdsaExplicit && private != leaf.key => {
                let (private, own) = (private.to_string(), leaf.key.to_string());
                Err(self.mismatch(&format!(
                    " (the key is {private}, that of the certificate {own})"
                )))
            }
            _ => Ok(()),
        }
    }

    /// The error about a key that is not the one of the certificate, on every backend.
    pub(super) fn mismatch(&self, details: &str) -> Error {
        let advice = match &self.source {
            Source::Pem { chain, .. } if chain.len() > 1 => {
                "give its own key; the server's own certificate comes first in the chain"
            }
            _ => "give its own key",
        };
        Error::config(format!(
            "the private key belongs to another certificate{details}: {advice}"
        ))
    }

    /// The error about a key that the library refuses although kind and size fit.
    pub(super) fn damaged_key() -> Error {
        Error::config("the private key cannot be used: its content is damaged")
    }

    /// The error about a key that is none to this OpenSSL, although the backend accepts its kind.
    #[cfg_attr(
        not(any(feature = "native-tls", feature = "openssl")),
        expect(dead_code, reason = "there is no backend on OpenSSL")
    )]
    pub(super) fn unknown_key(&self) -> Error {
        let key = self.certificate().map(|it| it.key.to_string());
        let key = key.unwrap_or_else(|_| "of an unknown kind".into());
        Error::config(format!(
            "the key is {key}, which this OpenSSL does not have: its FIPS provider or the system's vendor has \
             left it out; use ECDSA on P-256, or RSA of 2048 to 4096 bits"
        ))
    }
}
