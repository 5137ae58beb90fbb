//! OCSP responses (RFC 6960): what an authority says about one certificate.

use std::time::SystemTime;

use der::Decode;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponseStatus, RevokedInfo,
};

use super::{certificate::Certificate, hash::Hash};
use crate::error::Error;

/// The response that a server sends with its certificate to clients that ask for it (RFC 6066 section
/// 8, RFC 8446 section 4.4.2.1): the authority says that the certificate is not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OcspResponse {
    /// When the response became valid, `thisUpdate` (RFC 6960 section 4.2.2.1).
    pub this_update: SystemTime,
    /// The time by which the authority gives the next response, `nextUpdate`, inclusive. `None` if it
    /// always has a newer one.
    pub next_update: Option<SystemTime>,
    der: Vec<u8>,
}

impl OcspResponse {
    /// Reads the response about the first certificate of this chain. Its signature is for clients to
    /// verify.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is about another certificate, or does not say that this one is good.
    pub(super) fn from_der(der: Vec<u8>, chain: &[Certificate]) -> Result<Self, Error> {
        let responses = basic(&der)?.tbs_response_data.responses;
        let mut about_it = None;
        for response in &responses {
            if names(&response.cert_id, chain)? {
                about_it = Some(response);
            }
        }
        let Some(response) = about_it else {
            let ids = responses.iter().map(|response| &response.cert_id);
            return Err(about_another(ids, chain));
        };
        match &response.cert_status {
            CertStatus::Good(_) => {}
            CertStatus::Revoked(revoked) => return Err(revocation(revoked)),
            CertStatus::Unknown(_) => {
                return Err(Error::config(
                    "the OCSP responder does not know the certificate (status unknown): ask the one of \
                     its authority",
                ));
            }
        }
        Ok(Self {
            this_update: time(&response.this_update),
            next_update: response.next_update.as_ref().map(time),
            der,
        })
    }

    /// The response in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the response is valid now. Clients refuse any other one, so a server does not send it.
    pub fn is_current(&self) -> bool {
        self.is_current_at(SystemTime::now())
    }

    pub(super) fn is_current_at(&self, now: SystemTime) -> bool {
        self.this_update <= now && self.next_update.is_none_or(|end| now <= end)
    }
}

fn basic(der: &[u8]) -> Result<BasicOcspResponse, Error> {
    let unreadable = || {
        Error::config(
            "the OCSP response cannot be parsed: its content is not an OCSP response in DER or PEM (RFC \
             6960 section 4.2.1)",
        )
    };
    let response = x509_ocsp::OcspResponse::from_der(der).map_err(|_| unreadable())?;
    let status = match response.response_status {
        OcspResponseStatus::Successful => {
            let bytes = response.response_bytes.ok_or_else(unreadable)?.response;
            return BasicOcspResponse::from_der(bytes.as_bytes()).map_err(|_| unreadable());
        }
        OcspResponseStatus::MalformedRequest => "malformedRequest",
        OcspResponseStatus::InternalError => "internalError",
        OcspResponseStatus::TryLater => "tryLater",
        OcspResponseStatus::SigRequired => "sigRequired",
        OcspResponseStatus::Unauthorized => "unauthorized",
    };
    Err(Error::config(format!(
        "the OCSP responder answered with the error {status} instead of the certificate's status: ask it \
         again, or another one"
    )))
}

/// Whether this is the first certificate of the chain (RFC 6960 section 4.1.1). Without the issuer in
/// the chain, only its name is compared.
fn names(id: &CertId, chain: &[Certificate]) -> Result<bool, Error> {
    let Some(leaf) = chain.first().filter(|leaf| has_serial(id, leaf)) else {
        return Ok(false);
    };
    let hash = match id.hash_algorithm.oid.to_string().as_str() {
        "1.3.14.3.2.26" => Hash::Sha1,
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        other => {
            return Err(Error::config(format!(
                "the OCSP response names its certificate by the hash {other}, which is not supported: \
                 ask for SHA-1 or SHA-256"
            )));
        }
    };
    if !hash.is_of(&leaf.issuer_der, id.issuer_name_hash.as_bytes())? {
        return Ok(false);
    }
    let mut found = true;
    for issuer in chain.iter().filter(|it| leaf.is_issued_by(it)) {
        found = hash.is_of(&issuer.public_key, id.issuer_key_hash.as_bytes())?;
        if found {
            break;
        }
    }
    Ok(found)
}

fn has_serial(id: &CertId, certificate: &Certificate) -> bool {
    significant(id.serial_number.as_bytes()) == significant(&certificate.serial)
}

/// Without the zeros before a number.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

fn about_another<'a>(mut ids: impl Iterator<Item = &'a CertId>, chain: &[Certificate]) -> Error {
    let Some(leaf) = chain.first() else {
        return Error::config("there is no certificate");
    };
    let own = hexadecimal(&leaf.serial);
    let Some(id) = ids.next() else {
        return Error::config("the OCSP response is about no certificate");
    };
    Error::config(if has_serial(id, leaf) {
        format!(
            "the OCSP response is about a certificate of another authority with the same serial number \
             {own}: ask the responder of the authority that issued this one"
        )
    } else {
        let other = hexadecimal(id.serial_number.as_bytes());
        format!(
            "the OCSP response is about another certificate, with the serial number {other}; that of \
             this one is {own}: give each certificate its own response"
        )
    })
}

fn hexadecimal(number: &[u8]) -> String {
    let bytes = significant(number).iter().map(|byte| format!("{byte:02x}"));
    bytes.collect()
}

fn revocation(revoked: &RevokedInfo) -> Error {
    let since = revoked.revocation_time.0.to_date_time();
    let reason = match revoked.revocation_reason {
        Some(reason) => {
            // As RFC 5280 section 5.3.1 writes it.
            let mut name = format!("{reason:?}");
            name[..1].make_ascii_lowercase();
            format!(", for the reason {name}")
        }
        None => String::new(),
    };
    Error::config(format!(
        "the OCSP responder says that the certificate is revoked, since {since}{reason}: replace the \
         certificate"
    ))
}

fn time(time: &OcspGeneralizedTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + time.0.to_unix_duration()
}
