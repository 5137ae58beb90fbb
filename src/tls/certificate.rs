//! Reads what corelane needs from a certificate: names, validity, key and use.

mod key;
mod list;
mod name;

use std::time::{Duration, SystemTime};

use x509_parser::{
    asn1_rs::{Oid, oid},
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA},
    prelude::FromDer,
    x509::X509Version,
};

pub(super) use self::key::private as private_key;
pub use self::list::RevocationList;
#[cfg(any(feature = "rustls", feature = "openssl"))]
pub(super) use self::list::fault as list_fault;
use super::key_kind::Key;
use crate::error::Error;

/// A certificate of a chain.
#[derive(Debug)]
pub(super) struct Certificate {
    /// 1 or 3. Version 1 has no extensions.
    pub(super) version: u32,
    /// As text, for messages.
    pub(super) subject: String,
    /// Whether it was signed by its own key.
    pub(super) self_signed: bool,
    pub(super) serial: Vec<u8>,
    /// The names in DER, to compare.
    subject_der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
    /// The bits of subjectPublicKey (RFC 5280 section 4.1.2.7).
    pub(super) public_key: Vec<u8>,
    /// The dNSNames of subjectAltName, unchanged (RFC 5280 section 4.2.1.6).
    pub(super) dns_names: Vec<String>,
    /// Whether subjectAltName has an iPAddress.
    pub(super) has_address: bool,
    pub(super) not_before: SystemTime,
    /// The last second of its validity.
    pub(super) not_after: SystemTime,
    pub(super) key: Key,
    /// Whether extendedKeyUsage allows servers (RFC 5280 section 4.2.1.12).
    pub(super) is_for_servers: bool,
    /// The hash of its signature, if clients refuse it.
    pub(super) weak_hash: Option<&'static str>,
    /// Whether clients need an OCSP response with it: the feature status_request (RFC 7633).
    pub(super) must_staple: bool,
}

impl Certificate {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, Error> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(unreadable)?;
        if !rest.is_empty() {
            return Err(Error::config(
                "there are bytes behind the end of the certificate",
            ));
        }
        let names = certificate.subject_alternative_name().map_err(unreadable)?;
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let dns_names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let mut addresses = names.iter();
        let usage = certificate.extended_key_usage().map_err(unreadable)?;
        let validity = certificate.validity();
        Ok(Self {
            version: match certificate.version() {
                X509Version::V1 => 1,
                X509Version(more) => more.saturating_add(1),
            },
            subject: name::text(certificate.subject()),
            self_signed: certificate.subject() == certificate.issuer(),
            serial: certificate.raw_serial().to_owned(),
            subject_der: certificate.subject().as_raw().to_owned(),
            issuer_der: certificate.issuer().as_raw().to_owned(),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            dns_names: dns_names.collect(),
            has_address: addresses.any(|name| matches!(name, GeneralName::IPAddress(_))),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            key: key::public(certificate.public_key()),
            is_for_servers: usage.is_none_or(|usage| usage.value.server_auth || usage.value.any),
            weak_hash: weak_hash(&certificate),
            must_staple: must_staple(&certificate),
        })
    }

    pub(super) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.issuer_der == issuer.subject_der
    }
}

/// The subject of a certificate as
/// [`Negotiated::peer_subject`](super::Negotiated#structfield.peer_subject) has it: empty if the
/// certificate has none, `None` if it cannot be parsed. For implementors of
/// [`TlsAcceptor`](super::TlsAcceptor).
pub fn subject(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(name::text(certificate.subject()))
}

/// Whether a certificate is one of an authority (RFC 5280 section 4.2.1.9).
#[cfg(feature = "openssl")]
pub(super) fn is_authority(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| certificate.is_ca())
}

fn weak_hash(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    /// ecdsa-with-SHA1 (RFC 3279 section 2.2.3), in DER without tag and length.
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    let algorithm = &certificate.signature_algorithm.algorithm;
    if *algorithm == OID_PKCS1_SHA1WITHRSA || algorithm.as_bytes() == ECDSA_SHA1 {
        Some("SHA-1")
    } else if *algorithm == OID_PKCS1_MD5WITHRSAENC {
        Some("MD5")
    } else {
        None
    }
}

fn must_staple(certificate: &X509Certificate<'_>) -> bool {
    /// The extension id-pe-tlsfeature.
    const TLS_FEATURE: Oid<'_> = oid!(1.3.6.1.5.5.7.1.24);
    /// The TLS extension, by its number.
    const STATUS_REQUEST: u16 = 5;
    let mut extensions = certificate.extensions().iter();
    let Some(features) = extensions.find(|it| it.oid == TLS_FEATURE) else {
        return false;
    };
    let features = Vec::<u16>::from_der(features.value);
    features.is_ok_and(|(_, features)| features.contains(&STATUS_REQUEST))
}

/// The parser's error says nothing to a user.
fn unreadable(_error: impl std::error::Error) -> Error {
    Error::config("the certificate cannot be parsed: its content is not X.509 in DER (RFC 5280)")
}

/// Converts seconds since 1970, which may be negative.
fn time(timestamp: i64) -> SystemTime {
    let seconds = Duration::from_secs(timestamp.unsigned_abs());
    match timestamp {
        0.. => SystemTime::UNIX_EPOCH + seconds,
        _ => SystemTime::UNIX_EPOCH - seconds,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;
    use crate::tls::key_kind::KeyKind;

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
            assert_eq!(read.key, kind.into());
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
