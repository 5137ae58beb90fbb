//! Reads the kind and the size of keys, public and private.

use x509_parser::{
    asn1_rs::{Any, FromDer, Tag},
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384,
        OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED448,
        OID_SIG_ED25519,
    },
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

use crate::tls::{
    key_kind::{Key, KeyKind},
    pem::{KeyFormat, PrivateKey},
};

/// secp256k1 (SEC 2 section 2.4.1), in DER without tag and length.
const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];

/// What the identifiers of ML-DSA-44, 65 and 87 begin with (RFC 9881 section 2), in DER without tag and
/// length. The last byte tells the size.
const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];

/// The key of a certificate (RFC 5280 section 4.1.2.7).
pub(super) fn public(key: &SubjectPublicKeyInfo<'_>) -> Key {
    let kind = kind(&key.algorithm);
    let modulus = || Elements::of(&key.subject_public_key.data)?.integer();
    Key {
        kind,
        bits: kind.is_rsa().then(modulus).flatten().map(bits),
    }
}

/// `None` if the key is not in the format that its label names. The key is `None` within if an EC key
/// does not name its curve: then only its certificate does.
pub(in crate::tls) fn private(key: &PrivateKey) -> Option<Option<Key>> {
    let mut elements = Elements::of(key.der.expose())?;
    match key.format {
        KeyFormat::Pkcs1 => pkcs1(elements).map(|bits| Some(rsa(KeyKind::Rsa, bits))),
        KeyFormat::Sec1 => {
            elements.integer()?;
            elements.next(Tag::OctetString)?;
            // RFC 5915 section 3.
            let parameters = elements.0.first() == Some(&0xa0);
            let Some(parameters) = parameters.then(|| elements.any()).flatten() else {
                return Some(None);
            };
            let (_, curve) = Any::from_der(parameters.data).ok()?;
            Some(Some(curve_kind(Some(&curve)).into()))
        }
        KeyFormat::Pkcs8 => {
            elements.integer()?;
            let (rest, algorithm) = AlgorithmIdentifier::from_der(elements.0).ok()?;
            let kind = kind(&algorithm);
            let mut elements = Elements(rest);
            let key = elements.next(Tag::OctetString)?;
            Some(Some(match kind.is_rsa() {
                true => rsa(kind, pkcs1(Elements::of(key.data)?)?),
                false => kind.into(),
            }))
        }
    }
}

fn rsa(kind: KeyKind, bits: usize) -> Key {
    Key {
        kind,
        bits: Some(bits),
    }
}

/// The size of an RSA key in PKCS#1 (RFC 8017 appendix A.1.2).
fn pkcs1(mut elements: Elements<'_>) -> Option<usize> {
    elements.integer()?;
    elements.integer().map(bits)
}

/// By RFC 5480, RFC 8017 appendix A, RFC 8410 and RFC 9881.
fn kind(algorithm: &AlgorithmIdentifier<'_>) -> KeyKind {
    let oid = &algorithm.algorithm;
    if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
        curve_kind(algorithm.parameters.as_ref())
    } else if *oid == OID_PKCS1_RSAENCRYPTION {
        KeyKind::Rsa
    } else if *oid == OID_PKCS1_RSASSAPSS {
        KeyKind::RsaPss
    } else if *oid == OID_SIG_ED25519 {
        KeyKind::Ed25519
    } else if *oid == OID_SIG_ED448 {
        KeyKind::Ed448
    } else if *oid == OID_KEY_TYPE_DSA {
        KeyKind::Dsa
    } else if let Some([17..=19]) = oid.as_bytes().strip_prefix(ML_DSA) {
        KeyKind::MlDsa
    } else {
        KeyKind::Other
    }
}

fn curve_kind(parameters: Option<&Any<'_>>) -> KeyKind {
    let Some(parameters) = parameters else {
        return KeyKind::Other;
    };
    if parameters.tag() == Tag::Sequence {
        return KeyKind::EcdsaExplicit;
    }
    // This does not look at the tag.
    match parameters.as_oid() {
        Ok(curve) if curve == OID_EC_P256 => KeyKind::EcdsaP256,
        Ok(curve) if curve == OID_NIST_EC_P384 => KeyKind::EcdsaP384,
        Ok(curve) if curve == OID_NIST_EC_P521 => KeyKind::EcdsaP521,
        Ok(curve) if curve.as_bytes() == SECP256K1 => KeyKind::EcdsaSecp256k1,
        Ok(_) if parameters.tag() == Tag::Oid => KeyKind::EcdsaOther,
        _ => KeyKind::Other,
    }
}

/// The length of an unsigned integer.
fn bits(integer: &[u8]) -> usize {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    match integer.get(zeros) {
        Some(first) => (integer.len() - zeros) * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

/// The elements of a SEQUENCE that are not read yet.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn of(sequence: &'a [u8]) -> Option<Self> {
        let sequence = Elements(sequence).next(Tag::Sequence)?;
        Some(Self(sequence.data))
    }

    fn any(&mut self) -> Option<Any<'a>> {
        let (rest, element) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        Some(element)
    }

    fn next(&mut self, tag: Tag) -> Option<Any<'a>> {
        self.any().filter(|element| element.tag() == tag)
    }

    fn integer(&mut self) -> Option<&'a [u8]> {
        Some(self.next(Tag::Integer)?.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_integer_is_counted_in_bits() {
        for (integer, wanted) in [
            (&[][..], 0),
            (&[0], 0),
            (&[1], 1),
            (&[0, 0x80], 8),
            (&[0x7f, 0xff], 15),
        ] {
            assert_eq!(bits(integer), wanted, "{integer:?}");
        }
    }
}
