//! The client native-tls, on monoio-native-tls.

use std::io;

use ::native_tls::{Certificate, Identity, Protocol, TlsConnector};
use corelane::tls::TlsVersion;

use super::{
    connect::{OfferClient, PendingOutcome, Target},
    error::Error,
    handshake::{self, Failed, NOT_OFFERED, UNSOLICITED},
    offer::Offer,
    options::{ClientCertificate, ProbeOptions, Trust},
    recorder::Recorder,
};

pub(crate) struct NativeTls {
    trust: Trusted,
    identity: Option<Identity>,
}

enum Trusted {
    System,
    Pem(Vec<Certificate>),
    Any,
}

impl NativeTls {
    pub(crate) fn new(options: &ProbeOptions) -> Result<Self, Error> {
        let trust = match &options.trust {
            Trust::System => Trusted::System,
            Trust::Any => Trusted::Any,
            Trust::Pem(pem) => match Certificate::stack_from_pem(pem) {
                Ok(certificates) if !certificates.is_empty() => Trusted::Pem(certificates),
                Ok(_) => return Err(invalid_pem()),
                Err(_) => return Err(invalid_pem()),
            },
        };
        let identity = options.client_certificate.as_ref().map(identity);
        let client = Self {
            trust,
            identity: identity.transpose()?,
        };
        if client.identity.is_some() {
            // Only OpenSSL's context compares the key with the certificate.
            client.connector(&Offer::none()).map_err(|error| {
                Error::config(format!("the client certificate cannot be used: {error}"))
            })?;
        }
        Ok(client)
    }

    fn connector(&self, offer: &Offer) -> Result<TlsConnector, String> {
        let mut builder = TlsConnector::builder();
        match &self.trust {
            Trusted::System => {}
            Trusted::Any => {
                builder
                    .disable_built_in_roots(true)
                    .danger_accept_invalid_certs(true)
                    .danger_accept_invalid_hostnames(true);
            }
            Trusted::Pem(certificates) => {
                builder.disable_built_in_roots(true);
                for certificate in certificates {
                    builder.add_root_certificate(certificate.clone());
                }
            }
        }
        if let Some(identity) = &self.identity {
            builder.identity(identity.clone());
        }
        if let Some(version) = offer.version() {
            let version = Some(match version {
                TlsVersion(0x0301) => Protocol::Tlsv10,
                TlsVersion(0x0302) => Protocol::Tlsv11,
                TlsVersion::TLS_1_2 => Protocol::Tlsv12,
                TlsVersion::TLS_1_3 => Protocol::Tlsv13,
                other => return Err(format!("native-tls has no {other}")),
            });
            builder
                .min_protocol_version(version)
                .max_protocol_version(version);
        }
        let mut names = Vec::new();
        for name in offer.protocols() {
            let text = std::str::from_utf8(name.as_bytes());
            names.push(text.map_err(|_| format!("native-tls takes UTF-8 only, not {name}"))?);
        }
        builder.request_alpns(&names);
        builder.build().map_err(|error| error.to_string())
    }
}

/// native-tls takes a key that begins with PKCS#8's line, so text before it is left out.
fn identity(certificate: &ClientCertificate) -> Result<Identity, Error> {
    const PKCS_8: &[u8] = b"-----BEGIN PRIVATE KEY-----";
    let key = &certificate.key;
    let begin = key.windows(PKCS_8.len()).position(|line| line == PKCS_8);
    let Some(begin) = begin else {
        return Err(Error::config(
            "native-tls takes the key of the client certificate in PKCS#8 only (BEGIN PRIVATE KEY): \
             convert it by `openssl pkcs8 -topk8 -nodes`, or choose the client rustls",
        ));
    };
    Identity::from_pkcs8(&certificate.chain, &key[begin..]).map_err(|error| {
        Error::config("the client certificate or its key is not valid PEM").with(error)
    })
}

/// Without the library's error, which says nothing to a user.
fn invalid_pem() -> Error {
    Error::config("the certificates to trust are not valid PEM")
}

impl OfferClient for NativeTls {
    fn offer<'a>(
        &'a self,
        offer: &'a Offer,
        target: &'a Target,
    ) -> Result<PendingOutcome<'a>, String> {
        if offer.as_malformed().is_some() {
            return Err("native-tls makes well-formed offers only".into());
        }
        let connector = monoio_native_tls::TlsConnector::from(self.connector(offer)?);
        Ok(Box::pin(async move {
            let name = target.name.host();
            let handshake = |socket: Recorder| async move {
                let stream = connector.connect(&name, socket).await.map_err(failed)?;
                let protocol = stream.alpn_protocol();
                Ok((stream, protocol))
            };
            handshake::run(target, offer, handshake, failed_io).await
        }))
    }
}

fn failed(error: monoio_native_tls::TlsError) -> Failed {
    match error {
        monoio_native_tls::TlsError::NativeTls(error) => classify(&error.to_string()),
        monoio_native_tls::TlsError::Io(error) => failed_io(&error),
    }
}

fn failed_io(error: &io::Error) -> Failed {
    classify(&error.to_string())
}

/// native-tls gives the reason as the text of the library below it. This function parses OpenSSL's
/// texts. With another library the prober reads an alert from the wire, unless TLS 1.3 has
/// encrypted it.
fn classify(message: &str) -> Failed {
    let reasons = reasons(message);
    let names = |known: &[&str]| known.iter().any(|known| reasons.contains(known));
    if let Some(alert) = alert(message) {
        return Failed::Alert(alert);
    }
    if names(&["unexpected EOF", "unexpected eof while reading"]) {
        return Failed::Closed;
    }
    if names(&["certificate verify failed"]) {
        return match names(&UNSUPPORTED) {
            true => Failed::Incompatible(reasons),
            false => Failed::Untrusted(reasons),
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
    if message.contains("tls_parse_stoc_alpn:bad extension") {
        return Failed::Rejected(NOT_OFFERED.into());
    }
    if names(&["unsolicited extension"]) {
        return Failed::Rejected(UNSOLICITED.into());
    }
    if names(&FAULTS) {
        return Failed::Rejected(reasons);
    }
    match message.starts_with("error:") {
        true => Failed::Incompatible(reasons),
        false => Failed::Unknown(reasons),
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

/// The reasons in OpenSSL's `error:NUMBER:LIBRARY:FUNCTION:REASON:FILE:LINE:DATA`, each once, and the
/// fault of a certificate, which native-tls appends in brackets.
fn reasons(message: &str) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    for error in message.split("error:").skip(1) {
        let reason = error.split(':').nth(3).unwrap_or(error).trim();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() {
        return message.into();
    }
    let found = message.rsplit_once(" (").filter(|_| message.ends_with(')'));
    match found {
        Some((_, found)) => format!("{} ({found}", reasons.join(", ")),
        None => reasons.join(", "),
    }
}

/// The alert that OpenSSL received: it ends the text with "SSL alert number 120".
fn alert(message: &str) -> Option<u8> {
    let (_, number) = message.rsplit_once("SSL alert number ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_alert_from_openssls_text() {
        let message = "error:0A000460:SSL routines:ssl3_read_bytes:reason(1120):\
                       ../ssl/record/rec_layer_s3.c:1605:SSL alert number 120";
        assert_eq!(alert(message), Some(120));
        let message = format!("{message}, error:0A000139:SSL routines::record layer failure");
        assert_eq!(alert(&message), Some(120));
        for other in [
            "unexpected EOF",
            "SSL alert number ",
            "SSL alert number 999",
        ] {
            assert_eq!(alert(other), None);
        }
    }

    #[test]
    fn classifies_openssls_errors() {
        let said = |message: &str| match classify(message) {
            Failed::Alert(alert) => format!("alert {alert}"),
            Failed::Untrusted(why) => format!("untrusted: {why}"),
            Failed::Rejected(why) => format!("rejected: {why}"),
            Failed::Incompatible(why) => format!("incompatible: {why}"),
            Failed::Closed => "closed".into(),
            Failed::Unknown(why) => format!("unknown: {why}"),
        };
        for (message, wanted) in [
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate \
                 verify failed:../ssl/statem/statem_clnt.c:1889: (certificate has expired)",
                "untrusted: certificate verify failed (certificate has expired)",
            ),
            (
                "error:0A00006E:SSL routines:tls_parse_stoc_alpn:bad extension:../ssl/x.c:1:",
                "rejected: chose a protocol that was not offered (RFC 7301 section 3.1)",
            ),
            (
                "error:0A00006E:SSL routines:tls_parse_stoc_renegotiate:bad extension:../ssl/x.c:1:",
                "rejected: bad extension",
            ),
            (
                "error:0A0000D9:SSL routines:tls_collect_extensions:unsolicited extension:../x.c:1:",
                "rejected: sent an extension that was not requested (RFC 8446 section 4.2)",
            ),
            (
                "error:0A00018A:SSL routines:tls_process_ske_dhe:dh key too small:../ssl/x.c:1:",
                "incompatible: dh key too small",
            ),
            (
                "error:0A000098:SSL routines:read_state_machine:excessive message size:../ssl/x.c:1:",
                "incompatible: OpenSSL reads 100 KiB of certificates and less of other handshake \
                 messages, and one is longer",
            ),
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate \
                 verify failed:../ssl/statem/statem_clnt.c:1889: (EE certificate key too weak)",
                "incompatible: certificate verify failed (EE certificate key too weak)",
            ),
            (
                "error:0A000126:SSL routines::unexpected eof while reading:../ssl/x.c:1:",
                "closed",
            ),
            ("unexpected EOF", "closed"),
            ("os error 3", "unknown: os error 3"),
        ] {
            assert_eq!(said(message), wanted);
        }
    }
}
