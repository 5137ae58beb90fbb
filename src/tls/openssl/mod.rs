//! The backend on OpenSSL, by crate openssl.

mod algorithms;
mod clients;
mod context;
mod identity;
mod lent_transport;
mod library;
mod policy;
mod proof;
mod stream;
mod tickets;

use std::{fmt, sync::Arc};

use openssl_ticket_keys::{
    openssl::{
        error::ErrorStack,
        ssl::{Ssl, SslContext, SslStream},
    },
    set_groups, set_read_ahead,
};

use self::{
    algorithms::Groups, clients::ClientPolicy, lent_transport::LentTransport, policy::BACKEND,
    stream::OpensslStream,
};
use super::{
    TlsConfig,
    exporter::{self, Exporter},
    piped_session::PipedSession,
    session::{Client, Start, TlsAcceptor, TlsSession},
};
use crate::{alpn::ProtocolName, error::Error, negotiated::CipherSuite, scratch::MAX_RECORD};

pub use self::library::OpensslLibrary;

/// TLS by the system's OpenSSL, versions 1.2 and 1.3.
#[derive(Clone)]
pub struct OpensslAcceptor {
    context: SslContext,
    /// `None` if the user built the context: OpenSSL has no getter.
    alpn_protocols: Option<Vec<ProtocolName>>,
    /// `None` if the user built the context.
    cipher_suites: Option<Arc<[CipherSuite]>>,
    /// `None` if the user built the context: it decides which sessions resume.
    clients: Option<ClientPolicy>,
    groups: Groups,
    exporters: Arc<[Exporter]>,
}

impl OpensslAcceptor {
    /// Builds the acceptor from the configuration that all backends share.
    ///
    /// Cipher suites, groups and signature algorithms are those of the system's policy, which is in
    /// `openssl.cnf` or the file of the environment variable `OPENSSL_CONF`. If it sets neither a
    /// minimum version nor cipher suites, TLS 1.2 has the suites with ECDHE of Mozilla's intermediate
    /// recommendation. [`TlsConfig::cipher_suites`] and [`TlsConfig::groups`] replace those of the
    /// policy. The minimum version is the higher one of the policy's and the configuration's.
    ///
    /// # Errors
    ///
    /// When the configuration asks for something that OpenSSL does not support
    /// ([`Error::is_unsupported`]). When the certificate, the key or the client authorities cannot be
    /// used, or the policy forbids the minimum version ([`Error::is_config`]). When a handshake with a client in
    /// memory fails, because the policy or a FIPS provider leaves no cipher suite, no group or no
    /// signature algorithm for the certificate ([`Error::is_config`]).
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        let clients = ClientPolicy::new(config.client_auth.as_ref());
        let exporters = exporter::checked(&config.exporters)?;
        let built = context::build(config, &clients)?;
        let acceptor = Self {
            context: built.context,
            alpn_protocols: Some(config.alpn_protocols.clone()),
            cipher_suites: Some(built.cipher_suites),
            clients: Some(clients),
            groups: built.groups,
            exporters,
        };
        let session = || -> Result<Box<dyn TlsSession>, ErrorStack> {
            let mut ssl = acceptor.ssl(&Client::default())?;
            proof::prepare(&mut ssl)?;
            Ok(Box::new(acceptor.session(ssl, None)?))
        };
        proof::prove(config, built.lowest, session)
            .map_err(|error| config.identity.locate(error))?;
        Ok(acceptor)
    }

    fn ssl(&self, client: &Client<'_>) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        if let Some(clients) = &self.clients {
            let server_name = client.client_hello.and_then(|it| it.server_name.as_deref());
            clients.apply(&mut ssl, server_name)?;
        }
        if let Some(group) = self.groups.of(client.client_hello) {
            set_groups(&mut ssl, group)?;
        }
        ssl.set_accept_state();
        Ok(ssl)
    }

    fn session(
        &self,
        mut ssl: Ssl,
        server_name: Option<String>,
    ) -> Result<PipedSession<OpensslStream, LentTransport>, ErrorStack> {
        set_read_ahead(&mut ssl, MAX_RECORD);
        let transport = LentTransport::default();
        let stream = SslStream::new(ssl, transport.clone())?;
        let stream = OpensslStream::new(stream, server_name, Arc::clone(&self.exporters));
        Ok(PipedSession::new(stream, transport))
    }
}

/// Uses a context unchanged. Its ALPN callback has to choose `h2`: otherwise the server closes every
/// connection after the handshake, with an error that gives this reason.
impl From<SslContext> for OpensslAcceptor {
    fn from(context: SslContext) -> Self {
        Self {
            context,
            alpn_protocols: None,
            cipher_suites: None,
            clients: None,
            groups: Groups::default(),
            exporters: Arc::default(),
        }
    }
}

impl fmt::Debug for OpensslAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpensslAcceptor")
            .field("alpn_protocols", &self.alpn_protocols)
            .finish_non_exhaustive()
    }
}

impl TlsAcceptor for OpensslAcceptor {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.alpn_protocols.clone()
    }

    fn cipher_suites(&self) -> Option<Vec<CipherSuite>> {
        self.cipher_suites.as_deref().map(<[_]>::to_vec)
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        let failed = |error| Error::handshake("OpenSSL could not start a session", error);
        let server_name = client
            .client_hello
            .and_then(|hello| hello.server_name.clone());
        let ssl = self.ssl(client).map_err(failed)?;
        Ok(self.session(ssl, server_name).map_err(failed)?.into())
    }
}
