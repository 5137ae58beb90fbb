//! The acceptor.

use std::{fmt, sync::Arc};

use boring::ssl::{Ssl, SslContext, SslStream};
use corelane::{
    Error, ProtocolName,
    tls::{Client, Exporter, Pipe, PipedSession, Start, TlsAcceptor, TlsConfig},
};

use crate::{context, identity::BACKEND, stream::BoringStream};

/// TLS by BoringSSL, versions 1.2 and 1.3.
#[derive(Clone)]
pub struct BoringAcceptor {
    context: SslContext,
    /// `None` if the user built the context: crate boring has no getter.
    alpn_protocols: Option<Vec<ProtocolName>>,
    exporters: Arc<[Exporter]>,
}

impl BoringAcceptor {
    /// Builds the acceptor from the configuration that all backends share. Sessions resume within one
    /// acceptor, so within one process.
    ///
    /// Without [`TlsConfig::groups`], the key exchange groups are X25519MLKEM768, X25519, P-256 and P-384, and
    /// the client's order decides among them. TLS 1.2 has the cipher suites with ECDHE of Mozilla's intermediate recommendation.
    ///
    /// # Errors
    ///
    /// When the configuration asks for something that the backend does not support
    /// ([`Error::is_unsupported`]), for example ticket keys or revocation lists. When the certificate, the
    /// key or the client authorities cannot be used ([`Error::is_config`]).
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        Ok(Self {
            context: context::build(config)?,
            alpn_protocols: Some(config.alpn_protocols.clone()),
            exporters: config.exporters.as_slice().into(),
        })
    }
}

/// Uses a context unchanged. Its ALPN callback has to choose `h2`: otherwise the server closes every
/// connection after the handshake, with an error that gives this reason.
impl From<SslContext> for BoringAcceptor {
    fn from(context: SslContext) -> Self {
        Self {
            context,
            alpn_protocols: None,
            exporters: Arc::default(),
        }
    }
}

impl fmt::Debug for BoringAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoringAcceptor")
            .field("alpn_protocols", &self.alpn_protocols)
            .finish_non_exhaustive()
    }
}

impl TlsAcceptor for BoringAcceptor {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.alpn_protocols.clone()
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        let failed = |error| Error::handshake("BoringSSL could not start a session", error);
        let pipe = Pipe::default();
        let ssl = Ssl::new(&self.context).map_err(failed)?;
        let stream = SslStream::new(ssl, pipe.clone()).map_err(failed)?;
        let exporters = Arc::clone(&self.exporters);
        let stream = BoringStream::new(stream, client.client_hello, exporters);
        Ok(PipedSession::new(stream, pipe).into())
    }
}
