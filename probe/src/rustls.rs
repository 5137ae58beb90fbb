//! The client rustls, on monoio-rustls.

mod errors;

use std::sync::Arc;

use ::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use corelane::tls::TlsVersion;

use self::errors::{failed, failed_io, or_key_size};
use super::{
    connect::{OfferClient, PendingOutcome, Target},
    error::Error,
    handshake,
    offer::Offer,
    options::{ClientCertificate, ProbeOptions, Trust},
    recorder::Recorder,
};

pub(crate) struct Rustls {
    /// `None` if neither aws-lc-rs nor ring is compiled in.
    provider: Option<Arc<CryptoProvider>>,
    trust: Trusted,
    /// `None` if the user gave no client certificate.
    identity: Option<Arc<SingleCertAndKey>>,
}

enum Trusted {
    /// The roots, and those among them that the user gave.
    Roots(Arc<RootCertStore>, Vec<CertificateDer<'static>>),
    Any,
}

impl Rustls {
    pub(crate) fn new(options: &ProbeOptions) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let trust = match &options.trust {
            Trust::Any => Trusted::Any,
            Trust::System => {
                // If there are none, the report says that nothing is trusted.
                let found = rustls_native_certs::load_native_certs();
                for error in &found.errors {
                    tracing::debug!(%error, "the system's trusted certificates");
                }
                roots.add_parsable_certificates(found.certs);
                Trusted::Roots(Arc::new(roots), Vec::new())
            }
            Trust::Pem(pem) => {
                let mut given = Vec::new();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    certificate
                        .map_err(|_| invalid_pem())
                        .and_then(|certificate| {
                            given.push(certificate.clone());
                            let added = roots.add(certificate);
                            added.map_err(|_| invalid_pem())
                        })?;
                }
                if roots.is_empty() {
                    return Err(invalid_pem());
                }
                Trusted::Roots(Arc::new(roots), given)
            }
        };
        let provider = crypto_provider().map(Arc::new);
        let identity = match (&options.client_certificate, &provider) {
            (Some(certificate), Some(provider)) => Some(Arc::new(identity(certificate, provider)?)),
            _ => None,
        };
        Ok(Self {
            provider,
            trust,
            identity,
        })
    }

    fn config(&self, offer: &Offer) -> Result<ClientConfig, String> {
        let Some(provider) = &self.provider else {
            return Err("built without a crypto provider: aws-lc-rs or ring".into());
        };
        let versions: &[&SupportedProtocolVersion] = match offer.version() {
            None => &[&TLS13, &TLS12],
            Some(TlsVersion::TLS_1_2) => &[&TLS12],
            Some(TlsVersion::TLS_1_3) => &[&TLS13],
            Some(other) => return Err(format!("rustls has no {other}")),
        };
        let verifier: Arc<dyn ServerCertVerifier> = match &self.trust {
            Trusted::Any => Arc::new(AnyCertificate(Arc::clone(provider))),
            Trusted::Roots(roots, _) if roots.is_empty() => {
                return Err("the system trusts no certificate".into());
            }
            Trusted::Roots(roots, given) => {
                let (roots, provider) = (Arc::clone(roots), Arc::clone(provider));
                let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| error.to_string())?;
                Arc::new(Given {
                    webpki,
                    given: given.clone(),
                })
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            Some(identity) => {
                config.with_client_cert_resolver(Arc::<SingleCertAndKey>::clone(identity))
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = offer
            .protocols()
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Ok(config)
    }
}

fn crypto_provider() -> Option<CryptoProvider> {
    cfg_if::cfg_if! {
        if #[cfg(feature = "aws-lc-rs")] {
            Some(::rustls::crypto::aws_lc_rs::default_provider())
        } else if #[cfg(feature = "ring")] {
            Some(::rustls::crypto::ring::default_provider())
        } else {
            None
        }
    }
}

/// The reasons of a PEM reader are left out: they may hold bytes of the key.
fn identity(
    certificate: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<SingleCertAndKey, Error> {
    let chain = CertificateDer::pem_slice_iter(&certificate.chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| Error::config("the client certificate is not valid PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(&certificate.key)
        .map_err(|_| Error::config("the key of the client certificate is not valid PEM"))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        Error::config(format!("the client certificate cannot be used: {error}"))
    })?;
    Ok(key.into())
}

/// Without the library's error, which shows bytes and names of variants.
fn invalid_pem() -> Error {
    Error::config("the certificates to trust are not valid PEM")
}

impl OfferClient for Rustls {
    fn offer<'a>(
        &'a self,
        offer: &'a Offer,
        target: &'a Target,
    ) -> Result<PendingOutcome<'a>, String> {
        if offer.as_malformed().is_some() {
            return Err("rustls makes well-formed offers only".into());
        }
        let connector = monoio_rustls::TlsConnector::from(self.config(offer)?);
        let name = ServerName::try_from(target.name.host()).map_err(|error| error.to_string())?;
        Ok(Box::pin(async move {
            let handshake = |socket: Recorder| async move {
                let stream = connector.connect(name, socket).await.map_err(failed)?;
                let protocol = stream.alpn_protocol();
                Ok((stream, protocol))
            };
            handshake::run(target, offer, handshake, failed_io).await
        }))
    }
}

/// Trusts certificates that the roots have issued, and every given certificate, even one that is
/// marked as a CA. `openssl req -x509` marks its self-signed certificates so by default; OpenSSL
/// accepts them, webpki does not.
#[derive(Debug)]
struct Given {
    webpki: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let webpki = &self.webpki;
        let error = match webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(error) if self.given.contains(end_entity) => error,
            result => {
                let certificates = intermediates.iter().chain([end_entity]).chain(&self.given);
                return result.map_err(|error| or_key_size(error, certificates));
            }
        };
        // rustls passes on this error of webpki's as text only. webpki has checked the dates before;
        // only the name is left to check.
        match &error {
            TlsError::InvalidCertificate(CertificateError::Other(other))
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            _ => Err(or_key_size(error, [end_entity])),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let verified = self.webpki.verify_tls12_signature(message, cert, signature);
        verified.map_err(|error| or_key_size(error, [cert]))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let verified = self.webpki.verify_tls13_signature(message, cert, signature);
        verified.map_err(|error| or_key_size(error, [cert]))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// [`Trust::Any`]: trusts any certificate and any signature. webpki refuses certificates of version
/// 1 and short keys, so it cannot verify their signatures. An impostor learns nothing, as the prober
/// sends nothing secret.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
