//! The backend on native-tls: the TLS library of the system, OpenSSL on Linux.

use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
};

use ::native_tls::{HandshakeError, MidHandshakeTlsStream, Protocol, TlsStream};
use bytes::BufMut;

use super::{
    TlsConfig,
    client_hello::ClientHello,
    native_identity::{BACKEND, in_words, native_identity},
    pipe::Pipe,
    server_hello,
    session::{MAX_PLAINTEXT, MAX_SEALED, TlsAcceptor, TlsSession, Wire, read_through},
};
use crate::{
    alpn::ProtocolName,
    buffer::Buffer,
    error::Error,
    negotiated::{Negotiated, TlsVersion},
};

/// TLS by the system's library through native-tls. Its servers speak TLS 1.2 only.
#[derive(Clone)]
pub struct NativeTlsAcceptor {
    acceptor: ::native_tls::TlsAcceptor,
    /// `None` if the user built the acceptor: native-tls has no getter.
    alpn_protocols: Option<Vec<ProtocolName>>,
}

impl NativeTlsAcceptor {
    /// Builds the acceptor from the configuration that all backends share. Sessions resume within one
    /// acceptor, so within one process.
    ///
    /// # Errors
    ///
    /// When the configuration asks for something that native-tls does not support
    /// ([`Error::is_unsupported`]): TLS 1.3 as a minimum, no session resumption, ticket keys or client
    /// certificates. When the certificate or the key cannot be used ([`Error::is_config`]).
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        if config.min_version > TlsVersion::TLS_1_2 {
            return Err(Error::unsupported(
                BACKEND,
                &format!("min_version {}", config.min_version),
                "its servers speak TLS 1.2 at most; rustls supports TLS 1.3",
            ));
        }
        if config.min_version < TlsVersion::TLS_1_2 {
            return Err(Error::unsupported(
                BACKEND,
                &format!("min_version {}", config.min_version),
                "HTTP/2 needs TLS 1.2 or newer",
            ));
        }
        if !config.session_resumption {
            return Err(Error::unsupported(
                BACKEND,
                "session_resumption = false",
                "it has no option to turn session ids and tickets off",
            ));
        }
        if config.ticket_keys.is_some() {
            return Err(Error::unsupported(
                BACKEND,
                "ticket keys",
                "it has no option to set them, and its sessions resume within one process only; \
                 rustls supports them",
            ));
        }
        if config.client_auth.is_some() {
            return Err(Error::unsupported(
                BACKEND,
                "client certificates",
                "it has no option to ask for them; rustls supports them",
            ));
        }
        let mut names = Vec::new();
        for name in &config.alpn_protocols {
            let Ok(name) = std::str::from_utf8(name.as_bytes()) else {
                return Err(Error::unsupported(
                    BACKEND,
                    &format!("the ALPN protocol {name:?}"),
                    "it takes UTF-8 only",
                ));
            };
            names.push(name);
        }
        let unusable = |error| config.identity.locate(error);
        let identity = native_identity(&config.identity).map_err(unusable)?;
        let acceptor = ::native_tls::TlsAcceptor::builder(identity)
            .min_protocol_version(Some(Protocol::Tlsv12))
            .accept_alpn(&names)
            .build()
            .map_err(|error| unusable(in_words(error)))?;
        Ok(Self {
            acceptor,
            alpn_protocols: Some(config.alpn_protocols.clone()),
        })
    }
}

/// Uses an acceptor unchanged. Build it with `accept_alpn(&["h2"])`: otherwise the server closes
/// every connection after the handshake, with an error that gives this reason.
impl From<::native_tls::TlsAcceptor> for NativeTlsAcceptor {
    fn from(acceptor: ::native_tls::TlsAcceptor) -> Self {
        Self {
            acceptor,
            alpn_protocols: None,
        }
    }
}

impl fmt::Debug for NativeTlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeTlsAcceptor")
            .field("alpn_protocols", &self.alpn_protocols)
            .finish_non_exhaustive()
    }
}

impl TlsAcceptor for NativeTlsAcceptor {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.alpn_protocols.clone()
    }

    fn start(&self, client_hello: Option<&ClientHello>) -> Result<Box<dyn TlsSession>, Error> {
        Ok(Box::new(NativeTlsSession {
            state: State::Start(self.acceptor.clone()),
            pipe: Pipe::default(),
            server_name: client_hello.and_then(|hello| hello.server_name.clone()),
            session_id: client_hello.map_or_else(Vec::new, |hello| hello.session_id.clone()),
            unsealed: Buffer::default(),
            closing: false,
        }))
    }
}

/// The number of waiting sealed bytes above which the library gets no more input, which it might
/// answer. It is more than responses fill, so that the session still reads from a peer that reads
/// nothing.
const MAX_PENDING: usize = 2 * MAX_SEALED;

struct NativeTlsSession {
    state: State,
    pipe: Pipe,
    /// From the ClientHello, because native-tls has no getter.
    server_name: Option<String>,
    session_id: Vec<u8>,
    /// Plaintext that was taken and is not sealed yet, at most one record. It gathers several slices,
    /// because native-tls makes one record per call.
    unsealed: Buffer,
    closing: bool,
}

enum State {
    Start(::native_tls::TlsAcceptor),
    Handshaking(MidHandshakeTlsStream<Pipe>),
    Open(TlsStream<Pipe>),
    Failed,
}

fn invalid(error: impl Into<crate::error::BoxError>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl NativeTlsSession {
    fn open(&mut self) -> io::Result<&mut TlsStream<Pipe>> {
        match &mut self.state {
            State::Open(stream) => Ok(stream),
            _ => Err(invalid("the TLS session has failed")),
        }
    }

    /// Calls the library, and again while it asks for input that the wire has.
    fn drive<T>(
        &mut self,
        wire: &mut dyn Wire,
        mut call: impl FnMut(&mut TlsStream<Pipe>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            if self.pipe.pending() >= MAX_PENDING {
                self.pipe.send(wire)?;
            }
            match call(self.open()?) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pipe.receive(wire)?;
                }
                Err(error) => {
                    self.state = State::Failed;
                    self.unsealed = Buffer::default();
                    return Err(invalid(error));
                }
                Ok(value) => return Ok(value),
            }
        }
    }

    /// Seals the plaintext that was taken. The library may take a part of it only: a client can ask
    /// for shorter records (RFC 6066 section 4).
    fn seal(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        if self.pipe.pending() >= MAX_SEALED {
            self.pipe.send(wire)?;
        }
        while !self.unsealed.is_empty() {
            let plaintext = std::mem::take(&mut self.unsealed);
            let result = self.drive(wire, |stream| stream.write(plaintext.as_slice()));
            if let State::Open(_) = self.state {
                self.unsealed = plaintext;
            }
            self.unsealed.consume(result?);
        }
        Ok(())
    }

    /// Ends a write of which `taken` bytes were taken: seals the rest as a shorter record. If sealing
    /// has to wait, `flush` continues it, and the write still succeeds.
    fn finish_write(&mut self, taken: usize, wire: &mut dyn Wire) -> io::Result<usize> {
        match self.seal(wire) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Err(error) if taken == 0 => Err(error),
            _ => Ok(taken),
        }
    }
}

/// OpenSSL forgets a session whose connection ends without a close_notify of the server, and the
/// client may have gone before that is sent.
impl Drop for NativeTlsSession {
    fn drop(&mut self) {
        if !self.closing {
            self.send_close_notify();
        }
    }
}

impl TlsSession for NativeTlsSession {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        loop {
            let result = match std::mem::replace(&mut self.state, State::Failed) {
                State::Start(acceptor) => acceptor.accept(self.pipe.clone()),
                State::Handshaking(stream) => stream.handshake(),
                State::Open(stream) => Ok(stream),
                State::Failed => return Err(invalid("the TLS session has failed")),
            };
            match result {
                Ok(stream) => {
                    self.state = State::Open(stream);
                    return Ok(());
                }
                Err(HandshakeError::WouldBlock(stream)) => {
                    self.state = State::Handshaking(stream);
                }
                Err(HandshakeError::Failure(error)) => return Err(invalid(error)),
            }
            self.pipe.send(wire)?;
            self.pipe.receive(wire)?;
        }
    }

    fn negotiated(&self) -> Negotiated {
        let State::Open(stream) = &self.state else {
            return Negotiated::default();
        };
        let hello = self.pipe.with_first_flight(server_hello::parse);
        let asked = &self.session_id;
        Negotiated {
            alpn_protocol: stream
                .negotiated_alpn()
                .ok()
                .flatten()
                .and_then(|name| ProtocolName::new(name).ok()),
            tls_version: hello.as_ref().map(|hello| hello.version),
            cipher_suite: hello.as_ref().map(|hello| hello.cipher_suite),
            // native-tls has no getter.
            key_exchange_group: None,
            server_name: self.server_name.clone(),
            // A TLS 1.2 server echoes the session id only when it resumes (RFC 5246 section
            // 7.4.1.3).
            resumed: hello
                .filter(|hello| hello.version == TlsVersion::TLS_1_2)
                .map(|hello| !asked.is_empty() && hello.session_id == *asked),
            peer_certificates: Vec::new(),
            peer_subject: None,
        }
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        read_through(buf, |slice| self.drive(wire, |stream| stream.read(slice)))
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.closing {
            // The library would fail the session, which still has to read.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.open()?;
        self.seal(wire)?;
        let mut taken = 0;
        for buf in bufs {
            let mut rest = &buf[..];
            while !rest.is_empty() {
                if self.pipe.pending() >= MAX_SEALED {
                    return self.finish_write(taken, wire);
                }
                let n = rest.len().min(MAX_PLAINTEXT - self.unsealed.len());
                self.unsealed.extend(&rest[..n]);
                taken += n;
                rest = &rest[n..];
                if self.unsealed.len() == MAX_PLAINTEXT {
                    match self.seal(wire) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            return Ok(taken);
                        }
                        result => result?,
                    }
                }
            }
        }
        self.finish_write(taken, wire)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        if !self.unsealed.is_empty() {
            self.seal(wire)?;
        }
        self.pipe.send(wire)
    }

    fn wants_flush(&self) -> bool {
        self.pipe.pending() > 0 || !self.unsealed.is_empty()
    }

    fn send_close_notify(&mut self) {
        self.closing = true;
        if let State::Open(stream) = &mut self.state {
            // The pipe takes it without waiting. The result only shows whether the peer has sent
            // its close_notify.
            let _ = stream.shutdown();
        }
    }
}
