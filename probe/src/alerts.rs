//! Alerts by number and name (RFC 8446 section 6, RFC 5246 section 7.2, RFC 7301 section 3.2).

use std::fmt;

pub(super) const HANDSHAKE_FAILURE: u8 = 40;
pub(super) const ILLEGAL_PARAMETER: u8 = 47;
pub(super) const DECODE_ERROR: u8 = 50;
pub(super) const PROTOCOL_VERSION: u8 = 70;
pub(super) const INTERNAL_ERROR: u8 = 80;
pub(super) const UNRECOGNIZED_NAME: u8 = 112;
pub(super) const CERTIFICATE_REQUIRED: u8 = 116;
pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;

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

/// Alerts that are never sent for want of a protocol: about versions, names and certificates.
pub(super) fn is_about_something_else(description: u8) -> bool {
    matches!(
        description,
        41..=46
            | 48
            | 49
            | PROTOCOL_VERSION
            | 71
            | 86
            | UNRECOGNIZED_NAME
            | CERTIFICATE_REQUIRED
            | 121
    )
}

/// `120 no_application_protocol`.
pub(super) struct Shown(pub(super) u8);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match alert_name(self.0) {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
