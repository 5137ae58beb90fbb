//! Offers by native-tls, through monoio-native-tls.

use ::native_tls::{Certificate, Protocol, TlsConnector};

use super::{
    Offer,
    connect::{Answer, Library},
    handshake::{self, Failed},
    options::{Target, Trust},
    recorder::Recorder,
};
use crate::{
    error::{Chain, Error},
    negotiated::TlsVersion,
};

pub(super) struct NativeTls {
    trust: Trusted,
}

enum Trusted {
    System,
    Pem(Vec<Certificate>),
    Any,
}

impl NativeTls {
    pub(super) fn new(trust: &Trust) -> Result<Self, Error> {
        let trust = match trust {
            Trust::System => Trusted::System,
            Trust::Any => Trusted::Any,
            Trust::Pem(pem) => match Certificate::stack_from_pem(pem) {
                Ok(certificates) if !certificates.is_empty() => Trusted::Pem(certificates),
                Ok(_) => return Err(not_trustable()),
                Err(error) => return Err(not_trustable().with(error)),
            },
        };
        Ok(Self { trust })
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

fn not_trustable() -> Error {
    Error::config("the certificates to trust are not valid PEM")
}

impl Library for NativeTls {
    fn offer<'a>(&'a self, offer: &'a Offer, target: &'a Target) -> Result<Answer<'a>, String> {
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
            handshake::run(target, offer, handshake).await
        }))
    }
}

/// native-tls tells the reason in words only, those of the library below. Where they are not
/// OpenSSL's, an alert is still read from the wire, unless TLS 1.3 has encrypted it.
fn failed(error: monoio_native_tls::TlsError) -> Failed {
    let message = match &error {
        monoio_native_tls::TlsError::NativeTls(error) => error.to_string(),
        monoio_native_tls::TlsError::Io(error) => Chain(error).to_string(),
    };
    Failed {
        alert: alert(&message),
        untrusted: message.contains("certificate verify failed"),
        message,
    }
}

/// OpenSSL ends the line of an alert that it received with "SSL alert number 120".
fn alert(message: &str) -> Option<u8> {
    let (_, number) = message.rsplit_once("SSL alert number ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::alert;

    #[test]
    fn the_alert_in_openssls_words() {
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
}
