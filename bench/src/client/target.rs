//! The server that a client connects to, and the TLS parameters that it offers.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore,
    crypto::aws_lc_rs::{self, cipher_suite, kx_group},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    fixtures::Resource,
    terms::{Group, KeyExchange, KeyType, Negotiated, Terms},
};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Target {
    pub addr: SocketAddr,
    pub terms: Terms,
    /// The certificate that the server must present.
    pub certificate: PathBuf,
    /// Whether it is the demonstration of corelane's command, which has no files.
    pub demonstration: bool,
}

impl Target {
    /// The resource that takes this one's place at the server.
    pub fn resource(&self, resource: Resource) -> Resource {
        if self.demonstration {
            resource.demonstrated()
        } else {
            resource
        }
    }

    /// A client configuration that offers these terms and nothing else. Clones share the sessions that
    /// it stores in memory, unless `resumption` is set again.
    pub fn tls(&self) -> anyhow::Result<ClientConfig> {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![match (self.terms.group, self.terms.key_type) {
            (Group::Tls13, _) => cipher_suite::TLS13_AES_128_GCM_SHA256,
            (Group::Tls12, KeyType::P256) => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            (Group::Tls12, KeyType::Rsa2048) => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        }];
        let groups = self.terms.groups().iter().map(|group| match group {
            KeyExchange::X25519 => kx_group::X25519,
            KeyExchange::P256 => kx_group::SECP256R1,
        });
        provider.kx_groups = groups.collect();
        let versions = match self.terms.group {
            Group::Tls13 => [&TLS13],
            Group::Tls12 => [&TLS12],
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate)?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![self.terms.http.alpn().into()];
        Ok(config)
    }

    /// Connects and asks for the certificate of this name.
    pub async fn connect(
        &self,
        tls: Arc<ClientConfig>,
        name: &str,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.addr)
            .await
            .context("cannot connect")?;
        socket.set_nodelay(true)?;
        TlsConnector::from(tls)
            .connect(ServerName::try_from(name.to_owned())?, socket)
            .await
            .context("the TLS handshake failed")
    }
}

/// The negotiated parameters, by OpenSSL's names.
pub fn negotiated(tls: &ClientConnection) -> anyhow::Result<Negotiated> {
    let unfinished = "the handshake is not finished";
    let version = match tls.protocol_version().context(unfinished)? {
        ProtocolVersion::TLSv1_3 => "TLSv1.3".into(),
        ProtocolVersion::TLSv1_2 => "TLSv1.2".into(),
        other => format!("{other:?}"),
    };
    let cipher = match tls.negotiated_cipher_suite().context(unfinished)?.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256".into(),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => {
            "ECDHE-ECDSA-AES128-GCM-SHA256".into()
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256".into(),
        other => format!("{other:?}"),
    };
    // A resumed session under TLS 1.2 has no key exchange.
    let key_exchange = match tls
        .negotiated_key_exchange_group()
        .map(|group| group.name())
    {
        Some(NamedGroup::X25519) => "X25519".into(),
        Some(NamedGroup::secp256r1) => "P-256".into(),
        other => format!("{other:?}"),
    };
    let alpn = String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default()).into_owned();
    Ok(Negotiated {
        version,
        cipher,
        key_exchange,
        alpn,
    })
}
