//! Reads revocation lists.

use std::time::SystemTime;

use x509_parser::{prelude::FromDer, revocation_list::CertificateRevocationList};

use super::{name, time};
use crate::error::Error;

/// A revocation list (RFC 5280 section 5): who issued it and until when it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationList {
    /// The name of the authority, by RFC 4514. At most 256 characters, without control characters.
    pub issuer: String,
    /// The time by which the authority issues the next list, `nextUpdate` (RFC 5280 section 5.1.2.5).
    pub next_update: Option<SystemTime>,
}

impl RevocationList {
    pub(in crate::tls) fn from_der(der: &[u8]) -> Result<Self, Error> {
        let unreadable = || {
            Error::config(
                "the revocation list cannot be parsed: its content is not an X.509 list in DER (RFC \
                 5280 section 5)",
            )
        };
        let Ok(([], list)) = CertificateRevocationList::from_der(der) else {
            return Err(unreadable());
        };
        Ok(Self {
            issuer: name::text(list.issuer()),
            next_update: list.next_update().map(|end| time(end.timestamp())),
        })
    }
}

/// Why a list, which can be parsed, tells too little about a client's certificate. Each backend refuses
/// it when it is built: rustls cannot read these lists, and OpenSSL takes some of them for complete ones
/// and refuses all clients because of others.
#[cfg(any(feature = "rustls", feature = "openssl"))]
pub(in crate::tls) fn fault(der: &[u8]) -> Option<&'static str> {
    use x509_parser::{
        extensions::ParsedExtension,
        oid_registry::Oid,
        oid_registry::{
            OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_CRL_NUMBER,
            OID_X509_EXT_DELTA_CRL_INDICATOR, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
        },
    };

    const KNOWN: [Oid<'_>; 3] = [
        OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        OID_X509_EXT_CRL_NUMBER,
        OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
    ];

    let Ok((_, list)) = CertificateRevocationList::from_der(der) else {
        return Some("its content is not a list in DER");
    };
    if list.version().is_none() {
        return Some(
            "it is version 1, which has no CRL number (RFC 5280 section 5.2): issue it as version 2, \
             with crl_extensions in the configuration of `openssl ca`",
        );
    }
    if list.next_update().is_none() {
        return Some("it has no nextUpdate (RFC 5280 section 5.1.2.5)");
    }
    for extension in list.extensions() {
        if extension.oid == OID_X509_EXT_DELTA_CRL_INDICATOR {
            return Some("it is a delta list: give the complete list");
        }
        if extension.critical && !KNOWN.contains(&extension.oid) {
            return Some("it has a critical extension that is not known");
        }
        if let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension() {
            if point.indirect_crl {
                return Some("it is an indirect list: give the list of each authority");
            }
            if point.only_some_reasons.is_some() || point.only_contains_attribute_certs {
                return Some(
                    "it has a part of the revoked certificates only: give the complete list",
                );
            }
        }
    }
    None
}
