//! The backend on rustls.

use std::{
    fmt,
    io::{self, BufRead, IoSlice, Read, Write},
    sync::Arc,
};

use ::rustls::{
    HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, crypto::CryptoProvider,
};
use bytes::BufMut;

use super::{
    TicketKeys, TlsConfig,
    accepted_keys::AcceptedKeys,
    certificate::subject,
    client_hello::ClientHello,
    client_verifier::error_kind,
    exporter::{self, Exporter},
    incoming::Incoming,
    rustls_config::{Configs, Provider, check_early_data},
    rustls_identity::{ACCEPTED_KEYS, ANY_KEYS, BACKEND},
    session::{Client, MAX_PLAINTEXT, MAX_SEALED, Start, TlsAcceptor, TlsSession, Wire},
    tickets::SessionAge,
};
use crate::{
    alert::AlertDescription,
    alpn::ProtocolName,
    error::Error,
    negotiated::{CipherSuite, Exported, NamedGroup, Negotiated, TlsVersion},
};

/// TLS by rustls. The crypto provider is passed explicitly; the process default is never used.
#[derive(Clone)]
pub struct RustlsAcceptor {
    configs: Configs,
    exporters: Arc<[Exporter]>,
}

impl RustlsAcceptor {
    /// Builds the acceptor with the compiled-in crypto provider: aws-lc-rs with the feature
    /// `aws-lc-rs`, otherwise ring with the feature `ring`.
    ///
    /// # Errors
    ///
    /// When neither feature is on, or the configuration asks for something that rustls does not
    /// support ([`Error::is_unsupported`]). When the certificate, the key or the client authorities
    /// cannot be used ([`Error::is_config`]).
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        let Some(provider) = Provider::compiled_in() else {
            return Err(Error::unsupported(
                BACKEND,
                "a default crypto provider",
                "build with the feature aws-lc-rs or ring, or use RustlsAcceptor::with_provider",
            ));
        };
        let own = TicketKeys::random();
        let keys = config.ticket_keys.as_ref().unwrap_or(&own);
        Self::build(config, provider, &ACCEPTED_KEYS, Some(keys))
    }

    /// Builds the acceptor with another crypto provider. Without [`TlsConfig::ticket_keys`] sessions
    /// resume from memory only. With them the crate of the feature `aws-lc-rs` or `ring` seals the
    /// tickets.
    ///
    /// # Errors
    ///
    /// When there are ticket keys and neither feature is on, or the configuration asks for something
    /// else that rustls does not support ([`Error::is_unsupported`]). When the certificate, the key or
    /// the client authorities cannot be used ([`Error::is_config`]).
    pub fn with_provider(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let keys = config.ticket_keys.as_ref();
        Self::build(config, Provider::from(&*provider), &ANY_KEYS, keys)
    }

    fn build(
        config: &TlsConfig,
        provider: Provider,
        accepted: &AcceptedKeys,
        keys: Option<&TicketKeys>,
    ) -> Result<Self, Error> {
        let exporters = exporter::checked(&config.exporters)?;
        Ok(Self {
            configs: Configs::new(config, provider, accepted, keys)?,
            exporters,
        })
    }
}

/// Uses a configuration unchanged. A [`Server`](crate::Server) needs `h2` as its first
/// `alpn_protocols`, and 0 as `max_early_data_size`, the default.
impl From<Arc<ServerConfig>> for RustlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self {
            configs: config.into(),
            exporters: Arc::default(),
        }
    }
}

impl fmt::Debug for RustlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsAcceptor")
            .field("alpn_protocols", &self.alpn_protocols())
            .finish_non_exhaustive()
    }
}

impl TlsAcceptor for RustlsAcceptor {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        let names = self.configs.default.alpn_protocols.iter();
        names
            .map(|name| ProtocolName::new(name.clone()).ok())
            .collect()
    }

    fn cipher_suites(&self) -> Option<Vec<CipherSuite>> {
        Some(self.configs.cipher_suites())
    }

    fn check(&self) -> Result<(), Error> {
        check_early_data(&self.configs.default)
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        let hello = client.client_hello;
        if hello.is_some_and(is_below_tls_1_2) {
            let message = "the client has no version of TLS from 1.2 on";
            return Err(Error::refused(AlertDescription::ProtocolVersion, message));
        }
        let config = Arc::clone(self.configs.of(hello));
        let mut connection = ServerConnection::new(config)
            .map_err(|error| Error::handshake("rustls could not start a session", error))?;
        // The session has its own limit, MAX_SEALED. The limit of rustls would split full records.
        connection.set_buffer_limit(None);
        Ok(Start::from(RustlsSession {
            connection,
            incoming: Incoming::default(),
            age: SessionAge::default(),
            exporters: Arc::clone(&self.exporters),
            extended_master_secret: hello.is_some_and(|hello| hello.extended_master_secret),
            sealed: 0,
            failed: None,
            closing: false,
        }))
    }
}

/// Whether the client has older versions of TLS only: it has to get the alert `protocol_version` (RFC 5246
/// appendix E.1). rustls looks for signature_algorithms first, which such a client does not send, and
/// answers `handshake_failure`.
fn is_below_tls_1_2(hello: &ClientHello) -> bool {
    // `legacy_version` is behind the message's header (RFC 8446 section 4.1.2).
    let legacy_version = match hello.message.get(4..6) {
        Some(&[major, minor]) => u16::from_be_bytes([major, minor]),
        _ => return false,
    };
    hello.supported_versions.is_empty() && legacy_version < TlsVersion::TLS_1_2.0
}

struct RustlsSession {
    connection: ServerConnection,
    incoming: Incoming,
    age: SessionAge,
    exporters: Arc<[Exporter]>,
    /// Under TLS 1.2, as the client offers it (RFC 7627 section 5): rustls has no getter.
    extended_master_secret: bool,
    /// An upper bound of the sealed bytes in `connection`: rustls has no getter.
    sealed: usize,
    /// Why the session failed; it stays failed.
    failed: Option<::rustls::Error>,
    /// close_notify is queued. rustls would still seal plaintext that is written after it.
    closing: bool,
}

/// The maximum that a record adds to its plaintext, bytes: header, nonce or content type, tag.
const RECORD_OVERHEAD: usize = 32;

impl RustlsSession {
    /// Reads some ciphertext from the wire and processes it. `check_failed` reports an error of the
    /// processing later, so that plaintext before it can be read.
    fn receive(&mut self, wire: &mut dyn Wire) -> io::Result<usize> {
        self.check_failed()?;
        let n = self.connection.read_tls(&mut Ciphertext {
            ahead: &mut self.incoming,
            wire,
        })?;
        self.failed = self.process().err();
        Ok(n)
    }

    fn process(&mut self) -> Result<(), ::rustls::Error> {
        let connection = &mut self.connection;
        if !connection.is_handshaking() {
            return connection.process_new_packets().map(drop);
        }
        // rustls opens and seals tickets during this call.
        self.age.during(|| connection.process_new_packets())?;
        if let Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) =
            connection.handshake_kind()
        {
            self.age.restart();
        }
        Ok(())
    }

    fn check_failed(&self) -> io::Result<()> {
        match &self.failed {
            Some(error) => Err(io::Error::new(error_kind(error), error.clone())),
            None => Ok(()),
        }
    }

    /// Moves decrypted plaintext to `buf`, of as many records as fit.
    fn take_plaintext(&mut self, buf: &mut dyn BufMut) -> io::Result<usize> {
        let mut reader = self.connection.reader();
        let mut taken = 0;
        while buf.has_remaining_mut() {
            let plaintext = match reader.fill_buf() {
                Ok(plaintext) if !plaintext.is_empty() => plaintext,
                end if taken == 0 => return end.map(<[u8]>::len),
                _ => break,
            };
            let n = plaintext.len().min(buf.remaining_mut());
            buf.put_slice(&plaintext[..n]);
            reader.consume(n);
            taken += n;
        }
        Ok(taken)
    }

    fn exported(&self) -> Exported {
        let tls_1_3 = self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if !tls_1_3 && !self.extended_master_secret {
            return Exported::default();
        }
        let all = self.exporters.iter().filter_map(|exporter| {
            let (label, context) = (exporter.label.as_bytes(), exporter.context.as_deref());
            let material = vec![0; exporter.length];
            let exported = self
                .connection
                .export_keying_material(material, label, context);
            Some((Arc::clone(&exporter.label), exported.ok()?))
        });
        all.collect()
    }

    fn send(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        while self.connection.wants_write() {
            let n = self.connection.write_tls(wire)?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.sealed = self.sealed.saturating_sub(n);
        }
        self.sealed = 0;
        Ok(())
    }
}

/// The bytes that were read ahead, then the wire.
struct Ciphertext<'a> {
    ahead: &'a mut Incoming,
    wire: &'a mut dyn Wire,
}

/// A buffer of rustls of at least this size is filled from the wire directly, bytes: a system call
/// costs less than a copy of that size.
const LARGE: usize = 8 * 1024;

impl Read for Ciphertext<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            if buf.len() >= LARGE {
                return self.wire.read(buf);
            }
            self.ahead.fill(self.wire)?;
        }
        self.ahead.read(buf)
    }
}

impl TlsSession for RustlsSession {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.check_failed()?;
            if self.connection.wants_write() {
                self.send(wire)?;
            }
            if self.connection.is_handshaking() && self.receive(wire)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn negotiated(&self) -> Negotiated {
        let connection = &self.connection;
        let certificates = connection.peer_certificates().unwrap_or_default();
        Negotiated {
            alpn_protocol: connection
                .alpn_protocol()
                .and_then(|name| ProtocolName::new(name).ok()),
            tls_version: connection.protocol_version().map(|version| match version {
                ProtocolVersion::TLSv1_2 => TlsVersion::TLS_1_2,
                ProtocolVersion::TLSv1_3 => TlsVersion::TLS_1_3,
                other => TlsVersion(other.into()),
            }),
            cipher_suite: connection
                .negotiated_cipher_suite()
                .map(|suite| CipherSuite(suite.suite().into())),
            key_exchange_group: connection
                .negotiated_key_exchange_group()
                .map(|group| NamedGroup(group.name().into())),
            server_name: connection.server_name().map(str::to_owned),
            resumed: connection
                .handshake_kind()
                .map(|kind| kind == HandshakeKind::Resumed),
            peer_certificates: certificates
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
            peer_subject: certificates
                .first()
                .and_then(|certificate| subject(certificate)),
            exported: self.exported(),
            ..Negotiated::default()
        }
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        loop {
            // rustls reports plaintext, a clean close, a truncation, or WouldBlock. It limits what a
            // peer can make it queue: at most one KeyUpdate waits, and a peer that asks too often
            // for an answer is an error.
            match self.take_plaintext(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.receive(wire)?;
        }
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_failed()?;
        if self.closing {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.sealed >= MAX_SEALED {
            self.send(wire)?;
        }
        let n = self.connection.writer().write_vectored(bufs)?;
        // One record more than `n` fills, and one for the answer to a KeyUpdate.
        self.sealed += n + (n / MAX_PLAINTEXT + 2) * RECORD_OVERHEAD;
        Ok(n)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        self.send(wire)
    }

    fn wants_flush(&self) -> bool {
        self.connection.wants_write()
    }

    fn send_close_notify(&mut self) {
        self.closing = true;
        self.connection.send_close_notify();
    }
}
