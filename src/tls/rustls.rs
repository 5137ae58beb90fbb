//! The rustls backend.

use std::{
    io::{self, BufRead, IoSlice, Read, Write},
    sync::Arc,
};

use ::rustls::{
    HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};
use bytes::BufMut;

use super::{
    TicketKeys, TlsConfig,
    client_hello::ClientHello,
    client_verifier::ClientPolicy,
    identity::Source,
    incoming::Incoming,
    session::{MAX_PLAINTEXT, MAX_SEALED, TlsAcceptor, TlsSession, Wire},
    tickets::{self, SessionAge, SessionCache},
};
use crate::{
    alpn::ProtocolName,
    error::Error,
    negotiated::{CipherSuite, Negotiated, TlsVersion},
};

const BACKEND: &str = "rustls";

/// Sessions kept for clients that resume without tickets (TLS 1.2 session ids), on this acceptor only. Tickets, which
/// most clients use, need no memory here.
const SESSION_CACHE: usize = 4096;

/// TLS by rustls, with the crypto provider passed explicitly: the process default is never asked.
#[derive(Clone, Debug)]
pub struct RustlsAcceptor {
    config: Arc<ServerConfig>,
}

impl RustlsAcceptor {
    /// With the provider that was compiled in: aws-lc-rs by feature `aws-lc-rs`, else ring by
    /// feature `ring`. An error where neither is there.
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        let Some(provider) = compiled_in() else {
            return Err(Error::unsupported(
                BACKEND,
                "a default crypto provider",
                "build with the feature aws-lc-rs or ring, or use RustlsAcceptor::with_provider",
            ));
        };
        let own = TicketKeys::random();
        let keys = config.ticket_keys.as_ref().unwrap_or(&own);
        Ok(Self {
            config: Arc::new(server_config(config, Arc::new(provider), Some(keys))?),
        })
    }

    /// With a provider of the caller's. Without [`TlsConfig::ticket_keys`] sessions resume from
    /// memory only; with them tickets are sealed by what the feature `aws-lc-rs` or `ring` brings,
    /// and it is an error where neither is on.
    pub fn with_provider(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let keys = config.ticket_keys.as_ref();
        Ok(Self {
            config: Arc::new(server_config(config, provider, keys)?),
        })
    }
}

/// Takes a configuration as it is. A [`Server`](crate::Server) wants `alpn_protocols` to be `h2`.
impl From<Arc<ServerConfig>> for RustlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self { config }
    }
}

impl TlsAcceptor for RustlsAcceptor {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        let names = self.config.alpn_protocols.iter();
        names
            .map(|name| ProtocolName::new(name.clone()).ok())
            .collect()
    }

    fn start(&self, _client_hello: Option<&ClientHello>) -> Result<Box<dyn TlsSession>, Error> {
        let mut connection = ServerConnection::new(Arc::clone(&self.config))
            .map_err(|error| Error::handshake("rustls could not start a session", error))?;
        // The bound is MAX_SEALED; rustls' own one would cut full records apart.
        connection.set_buffer_limit(None);
        Ok(Box::new(RustlsSession {
            connection,
            incoming: Incoming::default(),
            age: SessionAge::default(),
            sealed: 0,
            failed: None,
            closing: false,
        }))
    }
}

fn compiled_in() -> Option<CryptoProvider> {
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

fn server_config(
    config: &TlsConfig,
    provider: Arc<CryptoProvider>,
    keys: Option<&TicketKeys>,
) -> Result<ServerConfig, Error> {
    let Source::Pem { chain, key } = &config.identity.source else {
        return Err(Error::unsupported(
            BACKEND,
            "PKCS#12",
            "convert it with `openssl pkcs12 -in FILE -nodes` and use Identity::from_pem",
        ));
    };
    let versions: &[&SupportedProtocolVersion] = match config.min_version {
        TlsVersion::TLS_1_2 => &[&TLS13, &TLS12],
        TlsVersion::TLS_1_3 => &[&TLS13],
        other => {
            return Err(Error::unsupported(
                BACKEND,
                &format!("min_version {other}"),
                "TLS 1.2 and TLS 1.3 can be asked for",
            ));
        }
    };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::config("the certificate chain is not valid PEM").with(error))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| Error::config("the private key is not valid PEM").with(error))?;
    let clients = ClientPolicy::new(config.client_auth.as_ref(), &provider)?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| Error::config("the crypto provider lacks a TLS version").with(error))?
        .with_client_cert_verifier(clients.verifier)
        .with_single_cert(chain, key)
        .map_err(|error| {
            Error::config("rustls cannot use this certificate with this key").with(error)
        })?;
    server.alpn_protocols = config
        .alpn_protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    if config.session_resumption {
        let lifetime = keys.map_or(TicketKeys::LIFETIME, |keys| keys.lifetime);
        server.session_storage = SessionCache::new(SESSION_CACHE, lifetime);
        if let Some(keys) = keys {
            server.ticketer = tickets::ticketer(keys, &clients.tickets)?;
        }
    } else if config.ticket_keys.is_some() {
        return Err(Error::config(
            "there are ticket keys, but session_resumption is off: leave one of them out",
        ));
    } else {
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    }
    Ok(server)
}

struct RustlsSession {
    connection: ServerConnection,
    incoming: Incoming,
    age: SessionAge,
    /// Upper bound of the sealed bytes that wait in `connection`; rustls does not tell.
    sealed: usize,
    /// Why the session failed; it has no way back.
    failed: Option<::rustls::Error>,
    /// close_notify is queued: rustls itself would go on to seal what is written behind it.
    closing: bool,
}

/// What a record adds to its plaintext at most: header, nonce or content type, tag.
const RECORD_OVERHEAD: usize = 32;

impl RustlsSession {
    /// One turn of the crank: takes some of what the wire has and works on it. A failure is told by the
    /// next `unfailed`, so that what came before it can be read.
    fn receive(&mut self, wire: &mut dyn Wire) -> io::Result<usize> {
        self.unfailed()?;
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
        // Tickets are opened and sealed in here.
        self.age.during(|| connection.process_new_packets())?;
        if let Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) =
            connection.handshake_kind()
        {
            self.age.begins_now();
        }
        Ok(())
    }

    fn unfailed(&self) -> io::Result<()> {
        match &self.failed {
            Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())),
            None => Ok(()),
        }
    }

    /// What is decrypted already, of as many records as there is room for.
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

/// What was read ahead, and behind it what the wire has.
struct Ciphertext<'a> {
    ahead: &'a mut Incoming,
    wire: &'a mut dyn Wire,
}

/// Bytes that rustls has room for, from which on they are read without a detour: a system call costs
/// less than to copy them.
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
            self.unfailed()?;
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
            server_name: connection.server_name().map(str::to_owned),
            resumed: connection
                .handshake_kind()
                .map(|kind| kind == HandshakeKind::Resumed),
            peer_certificates: connection
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        }
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        loop {
            // Decided by rustls: plaintext, a clean close, a truncation, or nothing there yet.
            // What a peer can make it queue (answers to KeyUpdate and to renegotiation) it bounds
            // by itself: one KeyUpdate waits at most, and a peer that asks too often is an error.
            match self.take_plaintext(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.receive(wire)?;
        }
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.unfailed()?;
        if self.closing {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.sealed >= MAX_SEALED {
            self.send(wire)?;
        }
        let n = self.connection.writer().write_vectored(bufs)?;
        // One record more than `n` fills, and the answer to a KeyUpdate before them.
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
