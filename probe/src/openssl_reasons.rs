//! What OpenSSL's errors say about the server, or about OpenSSL. The clients openssl and native-tls share
//! it, so that they call the same fault the same.

use super::handshake::{Failed, NOT_OFFERED, UNSOLICITED};

/// One error of OpenSSL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason<'a> {
    /// The function that found it.
    pub(crate) function: &'a str,
    /// The reason in OpenSSL's words.
    pub(crate) text: &'a str,
}

/// What these errors mean. `certificate` is what the check of the certificate found, if it failed.
pub(crate) fn classify(reasons: &[Reason<'_>], certificate: Option<&str>) -> Failed {
    let text = text(reasons, certificate);
    let names = |known: &[&str]| known.iter().any(|known| text.contains(known));
    if names(&["unexpected eof while reading"]) {
        return Failed::Closed;
    }
    if names(&["certificate verify failed"]) {
        return match names(&UNSUPPORTED) {
            true => Failed::Incompatible(text),
            false => Failed::Untrusted(text),
        };
    }
    if names(&["excessive message size"]) {
        return Failed::Incompatible(
            "OpenSSL reads 100 KiB of certificates and less of other handshake messages, and one is \
             longer"
                .into(),
        );
    }
    // OpenSSL gives the same reason for a malformed extension. Below TLS 1.3, where it can be read on the
    // wire, the two are told apart.
    if reasons
        .iter()
        .any(|it| it.function == "tls_parse_stoc_alpn" && it.text == "bad extension")
    {
        return Failed::Rejected(NOT_OFFERED.into());
    }
    if names(&["unsolicited extension"]) {
        return Failed::Rejected(UNSOLICITED.into());
    }
    match names(&FAULTS) {
        true => Failed::Rejected(text),
        false => Failed::Incompatible(text),
    }
}

/// Each reason once, and the fault of the certificate in brackets.
pub(crate) fn text(reasons: &[Reason<'_>], certificate: Option<&str>) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for reason in reasons {
        if !texts.contains(&reason.text) {
            texts.push(reason.text);
        }
    }
    let texts = texts.join(", ");
    match certificate {
        Some(found) => format!("{texts} ({found})"),
        None => texts,
    }
}

/// OpenSSL's reasons for not verifying a certificate that are its own limits: its security level, and
/// what it does not implement. That does not make it a certificate that must not be trusted.
const UNSUPPORTED: [&str; 12] = [
    "CA certificate key too weak",
    "CA signature digest algorithm too weak",
    "Cannot find certificate signature algorithm",
    "EE certificate key too weak",
    "certificate chain too long",
    "name constraints minimum and maximum not supported",
    "unable to decode issuer public key",
    "unhandled critical extension",
    "unsupported extension feature",
    "unsupported name constraint type",
    "unsupported or invalid name constraint syntax",
    "unsupported or invalid name syntax",
];

/// OpenSSL's reasons that mean a wrong server. With any other reason another client might succeed.
const FAULTS: [&str; 21] = [
    "bad change cipher spec",
    "bad data",
    "bad ecpoint",
    "bad extension",
    "bad handshake length",
    "bad key share",
    "bad length",
    "bad packet",
    "bad record type",
    "bad signature",
    "ccs received early",
    "data length too long",
    "decode error",
    "decryption failed or bad record mac",
    "encrypted length too long",
    "length mismatch",
    "length too short",
    "packet length too long",
    "record length mismatch",
    "unexpected message",
    "unexpected record",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(errors: &[(&str, &str)], certificate: Option<&str>) -> String {
        let reason = |(function, text)| Reason { function, text };
        let reasons: Vec<_> = errors.iter().copied().map(reason).collect();
        classify(&reasons, certificate).to_string()
    }

    #[test]
    fn classifies_openssls_errors() {
        let verify = [(
            "tls_post_process_server_certificate",
            "certificate verify failed",
        )];
        for (errors, certificate, wanted) in [
            (
                &verify[..],
                Some("certificate has expired"),
                "untrusted: certificate verify failed (certificate has expired)",
            ),
            (
                &verify,
                Some("EE certificate key too weak"),
                "incompatible: certificate verify failed (EE certificate key too weak)",
            ),
            (
                &[("tls_parse_stoc_alpn", "bad extension")],
                None,
                "rejected: chose a protocol that was not offered (RFC 7301 section 3.1)",
            ),
            (
                &[("tls_parse_stoc_renegotiate", "bad extension")],
                None,
                "rejected: bad extension",
            ),
            (
                &[("tls_collect_extensions", "unsolicited extension")],
                None,
                "rejected: sent an extension that was not requested (RFC 8446 section 4.2)",
            ),
            (
                &[("tls_process_ske_dhe", "dh key too small")],
                None,
                "incompatible: dh key too small",
            ),
            (
                &[("read_state_machine", "excessive message size")],
                None,
                "incompatible: OpenSSL reads 100 KiB of certificates and less of other handshake \
                 messages, and one is longer",
            ),
            (&[("", "unexpected eof while reading")], None, "closed"),
            (
                &[("one", "same"), ("other", "same"), ("", "another")],
                None,
                "incompatible: same, another",
            ),
        ] {
            assert_eq!(said(errors, certificate), wanted);
        }
    }
}
