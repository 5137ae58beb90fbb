//! Hands certificate and key to rustls, and explains what it refuses.

use std::sync::Arc;

use ::rustls::{
    CertificateError, Error as RustlsError, InconsistentKeys,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};

use super::{
    accepted_keys::AcceptedKeys,
    identity::{Identity, Source},
    key_kind::KeyKind,
    pem::KeyFormat,
};
use crate::error::Error;

pub(super) const BACKEND: &str = "rustls";

/// The keys that the provider of [`RustlsAcceptor::new`](super::RustlsAcceptor::new) accepts.
pub(super) const ACCEPTED_KEYS: AcceptedKeys = if cfg!(feature = "aws-lc-rs") {
    AcceptedKeys {
        backend: BACKEND,
        kinds: &[
            KeyKind::Rsa,
            KeyKind::EcdsaP256,
            KeyKind::EcdsaP384,
            KeyKind::EcdsaP521,
            KeyKind::Ed25519,
            KeyKind::MlDsa,
        ],
        rsa_bits: 2048..=8192,
        words: "RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, Ed25519 and ML-DSA",
    }
} else {
    // ring.
    AcceptedKeys {
        backend: BACKEND,
        kinds: &[
            KeyKind::Rsa,
            KeyKind::EcdsaP256,
            KeyKind::EcdsaP384,
            KeyKind::Ed25519,
        ],
        rsa_bits: 2048..=4096,
        words: "RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, and Ed25519",
    }
};

/// What the provider of [`RustlsAcceptor::with_provider`](super::RustlsAcceptor::with_provider)
/// accepts is not known before it is asked.
pub(super) const ANY_KEYS: AcceptedKeys = AcceptedKeys {
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
        KeyKind::Dsa,
        KeyKind::MlDsa,
        KeyKind::Other,
    ],
    rsa_bits: 0..=usize::MAX,
    words: "what its crypto provider does",
};

pub(super) fn certified_key(
    identity: &Identity,
    provider: &Arc<CryptoProvider>,
    accepted: &AcceptedKeys,
) -> Result<CertifiedKey, Error> {
    let Source::Pem { chain, key } = &identity.source else {
        return Err(Error::unsupported(
            BACKEND,
            "PKCS#12",
            "convert it with `openssl pkcs12 -in FILE -nodes` and use Identity::from_pem",
        ));
    };
    identity.check(accepted)?;
    if identity.certificate()?.version == 1 {
        return Err(Error::unsupported(
            BACKEND,
            "certificates of X.509 version 1, which have no subjectAltName",
            "issue it again with one, for example by `openssl x509 -req -extfile EXTENSIONS`",
        ));
    }
    let der = key.der.expose().clone();
    let key = match key.format {
        KeyFormat::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
        KeyFormat::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
        KeyFormat::Sec1 => PrivateKeyDer::Sec1(der.into()),
    };
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| {
        // The providers of this crate say the same about all keys that they refuse.
        match accepted.are_unknown() {
            true => Error::config("the crypto provider refuses the private key").with_source(error),
            false => Identity::damaged_key(),
        }
    })?;
    let chain = chain.iter().cloned().map(CertificateDer::from).collect();
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(RustlsError::InconsistentKeys(_)) => Err(identity.mismatch("")),
        Err(RustlsError::InvalidCertificate(fault)) => Err(Error::config(format!(
            "rustls cannot read the certificate: {}",
            in_words(&fault)
        ))),
        Err(error) => Err(
            Error::config("rustls cannot use this certificate with this key").with_source(error),
        ),
    }
}

/// What rustls says about the structure of a certificate. Its texts are the names of its variants.
pub(super) fn in_words(fault: &CertificateError) -> String {
    let CertificateError::Other(fault) = fault else {
        return "its content is not X.509 in DER".into();
    };
    let fault = fault.0.to_string();
    match &*fault {
        "UnsupportedCriticalExtension" => {
            "it has a critical extension that rustls does not know".into()
        }
        "UnsupportedCertVersion" => "it is not X.509 version 3".into(),
        "InvalidSerialNumber" => {
            "its serial number is negative, zero or longer than 20 bytes (RFC 5280 section 4.1.2.2)"
                .into()
        }
        "SignatureAlgorithmMismatch" => "its two signature algorithms differ".into(),
        "ExtensionValueInvalid" | "MalformedExtensions" => "an extension is malformed".into(),
        other => other.to_owned(),
    }
}
