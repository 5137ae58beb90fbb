//! A TLS client that trusts every certificate.

#![allow(dead_code, reason = "each test target uses a part of it")]

use std::{io, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, ServerName, UnixTime},
        version::{TLS12, TLS13},
    },
};

pub(crate) async fn connect(tcp: TcpStream, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
    connect_by(&config(protocol), tcp).await
}

/// With a configuration that keeps the sessions of earlier connections.
pub(crate) async fn connect_by(
    config: &Arc<ClientConfig>,
    tcp: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    connect_to("localhost", config, tcp).await
}

/// Sends this server name.
pub(crate) async fn connect_to(
    name: &'static str,
    config: &Arc<ClientConfig>,
    tcp: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name).expect("a name");
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, tcp).await
}

pub(crate) fn config(protocol: &[u8]) -> Arc<ClientConfig> {
    config_of(&[&TLS13, &TLS12], protocol)
}

/// A client that speaks these versions only.
pub(crate) fn config_of(
    versions: &[&'static SupportedProtocolVersion],
    protocol: &[u8],
) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// The verifier of [`config_of`].
#[derive(Debug)]
pub(crate) struct Anyone(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
