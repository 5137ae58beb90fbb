//! The configuration of the rustls client that the rows use.

use std::sync::Arc;

use corelane::tls::TlsVersion;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};

use crate::certs::Certified;

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("turn on the feature `aws-lc-rs` or `ring`: the client needs a crypto provider");

#[cfg(feature = "aws-lc-rs")]
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// A client of this version that offers these protocols. It trusts every certificate, and checks the
/// signatures. Sessions resume between clients of one configuration.
pub fn client_config(version: TlsVersion, alpn: &[&[u8]]) -> ClientConfig {
    let (builder, provider) = builder(version);
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// The same with a client certificate.
pub(crate) fn client_config_with(version: TlsVersion, own: &Certified) -> ClientConfig {
    let (builder, provider) = builder(version);
    let chain = own.chain_der.iter().cloned().map(CertificateDer::from);
    let key = PrivatePkcs8KeyDer::from(own.key_der.clone());
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_client_auth_cert(chain.collect(), key.into())
        .expect("a key that fits");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn builder(
    version: TlsVersion,
) -> (
    rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>,
    Arc<CryptoProvider>,
) {
    let versions: &[_] = match version {
        TlsVersion::TLS_1_2 => &[&TLS12],
        _ => &[&TLS13],
    };
    let provider = Arc::new(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("the provider has both versions");
    (builder, provider)
}

/// Trusts every certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
