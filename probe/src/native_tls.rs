//! The client native-tls, on monoio-native-tls.

use std::io::{self, Read, Write};

use ::native_tls::{Certificate, HandshakeError, Identity, Protocol, TlsConnector};
use corelane::tls::TlsVersion;

use super::{
    connect::{OfferClient, PendingOutcome, Target},
    error::Error,
    handshake::{self, Failed},
    offer::Offer,
    openssl_reasons::{self, Reason},
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
             convert it by `openssl pkcs8 -topk8 -nodes`, or choose the client rustls or openssl",
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
        let connector = self.connector(offer)?;
        if let Some(version) = offer.version().filter(|it| *it < TlsVersion::TLS_1_2) {
            check(&connector, &target.name.host())
                .map_err(|why| format!("native-tls cannot offer {version}: {why}"))?;
        }
        let connector = monoio_native_tls::TlsConnector::from(connector);
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

/// Checks that the library makes a ClientHello. Its policy may forbid the only version that is offered.
fn check(connector: &TlsConnector, name: &str) -> Result<(), String> {
    match connector.connect(name, Silent) {
        Err(HandshakeError::Failure(error)) => {
            let error = error.to_string();
            Err(openssl_reasons::text(&reasons(&error), None))
        }
        _ => Ok(()),
    }
}

/// A server that does not answer.
#[derive(Debug)]
struct Silent;

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Silent {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    if let Some(alert) = alert(message) {
        return Failed::Alert(alert);
    }
    let reasons = reasons(message);
    if !reasons.is_empty() {
        let found = message.rsplit_once(" (");
        let found = found.and_then(|(_, found)| found.strip_suffix(')'));
        return openssl_reasons::classify(&reasons, found);
    }
    match message {
        "unexpected EOF" => Failed::Closed,
        other => Failed::Unknown(other.into()),
    }
}

/// OpenSSL's errors, each `error:NUMBER:LIBRARY:FUNCTION:REASON:FILE:LINE:DATA`. native-tls appends the
/// fault of a certificate in brackets.
fn reasons(message: &str) -> Vec<Reason<'_>> {
    let errors = message.split("error:").skip(1);
    errors
        .map(|error| {
            let mut fields = error.split(':').skip(2);
            let function = fields.next().unwrap_or_default();
            let text = fields.next().unwrap_or(error).trim();
            Reason { function, text }
        })
        .collect()
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
    fn reads_the_reasons_from_openssls_text() {
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
                "error:0A00018A:SSL routines:tls_process_ske_dhe:dh key too small:../ssl/x.c:1:, \
                 error:0A00018B:SSL routines::other:../ssl/x.c:1:",
                "incompatible: dh key too small, other",
            ),
            (
                "error:0A000126:SSL routines::unexpected eof while reading:../ssl/x.c:1:",
                "closed",
            ),
            ("unexpected EOF", "closed"),
            ("os error 3", "unknown: os error 3"),
        ] {
            assert_eq!(classify(message).to_string(), wanted);
        }
    }
}
