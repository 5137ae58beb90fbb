//! Which keys a backend accepts. It is judged before the library sees them, so that every backend
//! refuses a key with the same words.

use std::ops::RangeInclusive;

use super::key_kind::{Key, KeyKind};
use crate::error::Error;

/// The keys that a backend accepts.
pub(super) struct AcceptedKeys {
    pub(super) backend: &'static str,
    pub(super) kinds: &'static [KeyKind],
    /// The sizes of RSA keys.
    pub(super) rsa_bits: RangeInclusive<usize>,
    /// The list, as error messages show it.
    pub(super) words: &'static str,
}

impl AcceptedKeys {
    /// OpenSSL's kinds of keys that a client can verify. It refuses smaller RSA keys by its security
    /// level, and larger ones as a whole.
    pub(super) const fn by_openssl(backend: &'static str) -> Self {
        Self {
            backend,
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
        }
    }

    /// The same from OpenSSL 3.5 on, for a backend with TLS 1.3.
    #[cfg_attr(
        not(feature = "openssl"),
        expect(dead_code, reason = "native-tls has no TLS 1.3")
    )]
    pub(super) const fn by_openssl_3_5(backend: &'static str) -> Self {
        Self {
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
                KeyKind::MlDsa,
            ],
            words: "RSA of 2048 to 16384 bits, ECDSA on a named curve, Ed25519, Ed448 and ML-DSA",
            ..Self::by_openssl(backend)
        }
    }

    /// Whether the library alone knows what it accepts.
    #[cfg_attr(
        not(feature = "rustls"),
        expect(dead_code, reason = "other backends have one list")
    )]
    pub(super) fn are_unknown(&self) -> bool {
        self.kinds.contains(&KeyKind::Other)
    }

    /// Checks the key of a certificate.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], with the kind and size of the key and what the backend accepts.
    pub(super) fn check(&self, key: Key) -> Result<(), Error> {
        if key.kind == KeyKind::EcdsaExplicit {
            return Err(Error::config(
                "the key is ECDSA with explicit curve parameters, which certificates may not have \
                 (RFC 5480 section 2.1.1): convert it with `openssl ec -in KEY -param_enc named_curve -out NEW`, and have \
                 the certificate issued again for the new file",
            ));
        }
        if !self.kinds.contains(&key.kind) {
            return Err(Error::config(format!(
                "the key is {key}, which {} does not accept; it accepts {}",
                self.backend, self.words
            )));
        }
        let advice = match key.bits {
            Some(bits) if bits < *self.rsa_bits.start() => "larger",
            Some(bits) if bits > *self.rsa_bits.end() => "smaller",
            _ => return Ok(()),
        };
        Err(Error::config(format!(
            "the RSA key has {} bits; {} accepts {} to {}: make a {advice} key, and have the \
             certificate issued again for it",
            key.bits.unwrap_or_default(),
            self.backend,
            self.rsa_bits.start(),
            self.rsa_bits.end()
        )))
    }
}
