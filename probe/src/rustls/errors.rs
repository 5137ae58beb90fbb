//! What rustls' errors say about the server, or about rustls.

use std::{io, ops::RangeInclusive};

use ::rustls::{
    CertificateError, Error as TlsError, InvalidMessage, PeerMisbehaved, pki_types::CertificateDer,
    server::ParsedCertificate,
};

use crate::handshake::{Failed, NOT_OFFERED, UNSOLICITED};

pub(super) fn failed(error: monoio_rustls::TlsError) -> Failed {
    match error {
        monoio_rustls::TlsError::Rustls(error) => classify(&error),
        monoio_rustls::TlsError::Io(error) => failed_io(&error),
    }
}

pub(super) fn failed_io(error: &io::Error) -> Failed {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => classify(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => Failed::Closed,
        None => Failed::Unknown(error.to_string()),
    }
}

/// Under TLS 1.3 an alert may be encrypted: then only rustls can tell it.
fn classify(error: &TlsError) -> Failed {
    if let Some(limit) = own_limit(error) {
        return Failed::Incompatible(limit);
    }
    match error {
        TlsError::AlertReceived(alert) => Failed::Alert((*alert).into()),
        TlsError::InvalidCertificate(_) => Failed::Untrusted(error.to_string()),
        TlsError::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            Failed::Rejected(NOT_OFFERED.into())
        }
        TlsError::PeerMisbehaved(
            PeerMisbehaved::UnsolicitedCertExtension
            | PeerMisbehaved::UnsolicitedEncryptedExtension
            | PeerMisbehaved::UnsolicitedServerHelloExtension,
        ) => Failed::Rejected(UNSOLICITED.into()),
        TlsError::PeerMisbehaved(_)
        | TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::InappropriateHandshakeMessage { .. }
        | TlsError::PeerSentOversizedRecord
        | TlsError::NoCertificatesPresented
        | TlsError::DecryptError => Failed::Rejected(error.to_string()),
        _ => Failed::Incompatible(error.to_string()),
    }
}

/// The limit of rustls or webpki that an error is about, if it is about one. The RFCs set no such
/// limit, so the server breaks no rule.
fn own_limit(error: &TlsError) -> Option<String> {
    match error {
        TlsError::InvalidMessage(
            InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge,
        ) => Some(
            "rustls reads 64 KiB of a handshake message, and one is longer: most likely the \
             certificates"
                .into(),
        ),
        TlsError::InvalidMessage(
            InvalidMessage::UnsupportedCurveType
            | InvalidMessage::UnsupportedKeyExchangeAlgorithm(_),
        )
        | TlsError::PeerMisbehaved(
            PeerMisbehaved::TooManyEmptyFragments
            | PeerMisbehaved::TooManyKeyUpdateRequests
            | PeerMisbehaved::TooManyRenegotiationRequests
            | PeerMisbehaved::TooManyWarningAlertsReceived,
        ) => Some(error.to_string()),
        TlsError::InvalidCertificate(fault) if is_unsupported(fault) => Some(error.to_string()),
        TlsError::General(why) => Some(why.clone()),
        _ => None,
    }
}

/// Whether webpki lacks what the certificate needs. That does not make it a certificate that must not
/// be trusted.
fn is_unsupported(fault: &CertificateError) -> bool {
    #[allow(deprecated)] // webpki still reports it.
    match fault {
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        | CertificateError::UnhandledCriticalExtension => true,
        // rustls passes on these errors of webpki's as text only.
        CertificateError::Other(other) => {
            let text = format!("{other:?}");
            let own = [
                "UnsupportedCertVersion",
                "UnsupportedCriticalExtension",
                "UnsupportedNameType",
                "MaximumNameConstraintComparisonsExceeded",
                "MaximumPathBuildCallsExceeded",
                "MaximumPathDepthExceeded",
                "MaximumSignatureChecksExceeded",
            ];
            own.iter().any(|own| text.contains(own))
        }
        _ => false,
    }
}

/// The bits of RSA keys with which rustls' crypto providers verify signatures.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// webpki reports a key of a size that the crypto provider lacks as an invalid signature.
pub(super) fn or_key_size<'a>(
    error: TlsError,
    certificates: impl IntoIterator<Item = &'a CertificateDer<'a>>,
) -> TlsError {
    if !matches!(
        error,
        TlsError::InvalidCertificate(CertificateError::BadSignature)
    ) {
        return error;
    }
    let bits = |certificate| {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        rsa_bits(&parsed.subject_public_key_info())
    };
    let mut bits = certificates.into_iter().filter_map(bits);
    match bits.find(|bits| !RSA_BITS.contains(bits)) {
        Some(bits) => TlsError::General(format!(
            "rustls takes RSA keys of {} to {} bits, and a certificate has one of {bits}",
            RSA_BITS.start(),
            RSA_BITS.end()
        )),
        None => error,
    }
}

/// The bits of the modulus in a SubjectPublicKeyInfo (RFC 8017 appendix A.1.1); `None` for other keys.
fn rsa_bits(public_key: &[u8]) -> Option<usize> {
    const RSA_ENCRYPTION: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    let (algorithm, rest) = der_value(der_value(public_key)?.0)?;
    if !algorithm.starts_with(RSA_ENCRYPTION) {
        return None;
    }
    // The first byte of a BIT STRING counts its unused bits.
    let key = der_value(rest)?.0.get(1..)?;
    let modulus = der_value(der_value(key)?.0)?.0;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// The contents of the first DER value, and the bytes after it.
fn der_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.get(1..)?.split_first()?;
    let more = usize::from(length & 0x7f);
    if length < 0x80 {
        return rest.split_at_checked(more);
    }
    let (length, rest) = rest.split_at_checked(more.min(4))?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}
