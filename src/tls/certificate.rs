//! Reads what corelane needs from a certificate: names, expiry and kind of key.

use std::time::{Duration, SystemTime};

use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
        OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED448, OID_SIG_ED25519,
    },
    prelude::FromDer,
    revocation_list::CertificateRevocationList,
    x509::SubjectPublicKeyInfo,
};

use super::key_kind::KeyKind;
use crate::error::Error;

/// The server's own certificate.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The dNSNames of subjectAltName, unchanged (RFC 5280 section 4.2.1.6).
    pub(super) dns_names: Vec<String>,
    /// The last second of its validity.
    pub(super) not_after: SystemTime,
    pub(super) key: KeyKind,
}

impl Certificate {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, Error> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| unreadable().with(error))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| unreadable().with(error))?;
        let dns_names = names
            .into_iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
        Ok(Self {
            dns_names,
            not_after: time(certificate.validity().not_after.timestamp()),
            key: key_kind(certificate.public_key()),
        })
    }
}

/// The earliest `nextUpdate` of revocation lists in DER.
pub(super) fn first_next_update(lists: &[Vec<u8>]) -> Option<SystemTime> {
    let next_update = |der: &Vec<u8>| {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        Some(time(list.next_update()?.timestamp()))
    };
    lists.iter().filter_map(next_update).min()
}

fn unreadable() -> Error {
    Error::config("the certificate cannot be parsed")
}

/// Converts seconds since 1970, which may be negative.
fn time(timestamp: i64) -> SystemTime {
    let seconds = Duration::from_secs(timestamp.unsigned_abs());
    match timestamp {
        0.. => SystemTime::UNIX_EPOCH + seconds,
        _ => SystemTime::UNIX_EPOCH - seconds,
    }
}

/// The algorithm identifiers are those of RFC 5480, RFC 8017 appendix A and RFC 8410.
fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref();
        match curve.and_then(|curve| curve.as_oid().ok()) {
            Some(curve) if curve == OID_EC_P256 => KeyKind::EcdsaP256,
            Some(curve) if curve == OID_NIST_EC_P384 => KeyKind::EcdsaP384,
            Some(curve) if curve == OID_NIST_EC_P521 => KeyKind::EcdsaP521,
            _ => KeyKind::Other,
        }
    } else if *algorithm == OID_PKCS1_RSAENCRYPTION {
        KeyKind::Rsa
    } else if *algorithm == OID_PKCS1_RSASSAPSS {
        KeyKind::RsaPss
    } else if *algorithm == OID_SIG_ED25519 {
        KeyKind::Ed25519
    } else if *algorithm == OID_SIG_ED448 {
        KeyKind::Ed448
    } else {
        KeyKind::Other
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;

    #[test]
    fn names_expiry_and_key_are_read() {
        for (algorithm, kind) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::EcdsaP256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::EcdsaP384),
            (&rcgen::PKCS_ED25519, KeyKind::Ed25519),
        ] {
            let key = KeyPair::generate_for(algorithm).expect("a key");
            let names = ["a.test", "*.b.test", "127.0.0.1"].map(str::to_owned);
            let mut params = CertificateParams::new(names).expect("names");
            params.not_after = date_time_ymd(2001, 9, 9);
            let uri = SanType::URI("https://a.test/".try_into().expect("ASCII"));
            params.subject_alt_names.push(uri);
            let made = params.self_signed(&key).expect("a certificate");
            let read = Certificate::from_der(made.der()).expect("readable");
            assert_eq!(read.dns_names, ["a.test", "*.b.test"]);
            assert_eq!(read.key, kind);
            let since_1970 = read.not_after.duration_since(SystemTime::UNIX_EPOCH);
            assert_eq!(since_1970.expect("later").as_secs(), 999_993_600);
        }
    }

    #[test]
    fn a_time_before_1970_is_converted() {
        assert_eq!(time(-1) + Duration::from_secs(2), time(1));
    }

    #[test]
    fn invalid_der_is_an_error() {
        for der in [&b""[..], &[0; 3]] {
            let error = Certificate::from_der(der).expect_err("not a certificate");
            assert!(error.is_config(), "{error}");
        }
    }
}
