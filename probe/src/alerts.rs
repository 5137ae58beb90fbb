//! Alerts by number and name (RFC 8446 section 6, RFC 5246 section 7.2, RFC 7301 section 3.2).

use std::fmt;

use corelane::AlertDescription;

pub(crate) const HANDSHAKE_FAILURE: u8 = AlertDescription::HandshakeFailure.number();
pub(crate) const ILLEGAL_PARAMETER: u8 = 47;
pub(crate) const DECODE_ERROR: u8 = AlertDescription::DecodeError.number();
pub(crate) const PROTOCOL_VERSION: u8 = 70;
pub(crate) const INTERNAL_ERROR: u8 = AlertDescription::InternalError.number();
pub(crate) const UNRECOGNIZED_NAME: u8 = AlertDescription::UnrecognizedName.number();
pub(crate) const CERTIFICATE_REQUIRED: u8 = 116;
pub(crate) const NO_APPLICATION_PROTOCOL: u8 = AlertDescription::NoApplicationProtocol.number();

/// The name of an alert in IANA's registry, for example `no_application_protocol` for 120.
pub fn alert_name(description: u8) -> Option<&'static str> {
    Some(match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        HANDSHAKE_FAILURE => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        ILLEGAL_PARAMETER => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        DECODE_ERROR => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        PROTOCOL_VERSION => "protocol_version",
        71 => "insufficient_security",
        INTERNAL_ERROR => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        UNRECOGNIZED_NAME => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        CERTIFICATE_REQUIRED => "certificate_required",
        117 => "general_error",
        NO_APPLICATION_PROTOCOL => "no_application_protocol",
        121 => "ech_required",
        _ => return None,
    })
}

/// Whether the alert is about a certificate: 51 means a wrong signature in it or by its key. Behind a
/// completed handshake it is about the client's.
pub(crate) fn is_about_certificates(description: u8) -> bool {
    matches!(description, 41..=46 | 48 | 49 | 51 | CERTIFICATE_REQUIRED)
}

/// Whether the alert of a server below TLS 1.3 that has asked for a client certificate may mean that it
/// requires another one (RFC 5246 section 7.4.6). GnuTLS sends decode_error for none.
pub(crate) fn may_refuse_certificate(description: u8) -> bool {
    matches!(description, HANDSHAKE_FAILURE | DECODE_ERROR) || is_about_certificates(description)
}

/// Whether the alert is about a version, a name or a certificate, and so never about ALPN.
pub(crate) fn is_unrelated_to_alpn(description: u8) -> bool {
    is_about_certificates(description)
        || matches!(
            description,
            PROTOCOL_VERSION | 71 | 86 | UNRECOGNIZED_NAME | 121
        )
}

/// An alert with its name: `120 no_application_protocol`.
pub(crate) struct NamedAlert(pub(crate) u8);

impl fmt::Display for NamedAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match alert_name(self.0) {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
