//! The backend on native-tls: the TLS library of the system, OpenSSL on Linux.

use std::{
    fmt,
    io::{self, Read, Write},
};

use ::native_tls::{HandshakeError, MidHandshakeTlsStream, Protocol, TlsStream};
use bytes::BufMut;

use super::{
    TlsConfig,
    client_hello::ClientHello,
    identity::Identity,
    native_identity::{BACKEND, in_words, native_identity},
    pipe::Pipe,
    piped_session::PipedSession,
    piped_stream::PipedStream,
    server_hello,
    session::{Client, Start, TlsAcceptor, read_through},
};
use crate::{
    alpn::ProtocolName,
    error::Error,
    negotiated::{Negotiated, TlsVersion},
};

cfg_if::cfg_if! {
    if #[cfg(not(any(target_os = "windows", target_vendor = "apple")))] {
        use openssl::ssl::SslVersion;

        use super::self_handshake::{complete, is_provable};
    }
}

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
    /// ([`Error::is_unsupported`]): TLS 1.3 as a minimum, no session resumption, ticket keys, client
    /// certificates, an OCSP response, a key log, cipher suites, groups or exporters. When the certificate or
    /// the key cannot be used, or the system's policy for OpenSSL leaves no way to serve it
    /// ([`Error::is_config`]).
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        if config.min_version > TlsVersion::TLS_1_2 {
            return Err(Error::unsupported(
                BACKEND,
                &format!("min_version {}", config.min_version),
                "its servers speak TLS 1.2 at most; rustls and openssl support TLS 1.3",
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
                 rustls and openssl support them",
            ));
        }
        if config.client_auth.is_some() {
            return Err(Error::unsupported(
                BACKEND,
                "client certificates",
                "it has no option to ask for them; rustls and openssl support them",
            ));
        }
        if config.identity.ocsp_response().is_some() {
            return Err(Error::unsupported(
                BACKEND,
                "OCSP responses",
                "it has no option to send them; rustls and openssl support them",
            ));
        }
        if config.key_log {
            return Err(Error::unsupported(
                BACKEND,
                "a key log",
                "it has no option to tell its secrets; rustls and openssl support it",
            ));
        }
        for (given, option) in [
            (!config.cipher_suites.is_empty(), "cipher_suites"),
            (!config.groups.is_empty(), "groups"),
            (!config.exporters.is_empty(), "exporters"),
        ] {
            if given {
                return Err(Error::unsupported(
                    BACKEND,
                    option,
                    "it has no call for them; rustls and openssl support them",
                ));
            }
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
        let acceptor = Self {
            acceptor,
            alpn_protocols: Some(config.alpn_protocols.clone()),
        };
        prove(acceptor.session(None), &config.identity).map_err(unusable)?;
        Ok(acceptor)
    }

    fn session(&self, hello: Option<&ClientHello>) -> PipedSession<NativeTlsStream> {
        let pipe = Pipe::keeping_first_flight();
        let stream = NativeTlsStream {
            state: State::Start(self.acceptor.clone()),
            pipe: pipe.clone(),
            server_name: hello.and_then(|hello| hello.server_name.clone()),
            session_id: hello.map_or_else(Vec::new, |hello| hello.session_id.clone()),
        };
        PipedSession::new(stream, pipe)
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "windows", target_vendor = "apple"))] {
        /// There is no client to prove it with.
        fn prove(_session: PipedSession<NativeTlsStream>, _identity: &Identity) -> Result<(), Error> {
            Ok(())
        }
    } else {
        /// Proves a new acceptor by a handshake.
        fn prove(session: PipedSession<NativeTlsStream>, identity: &Identity) -> Result<(), Error> {
            if !is_provable(identity)? {
                return Ok(());
            }
            complete(BACKEND, Box::new(session), SslVersion::TLS1_2)
        }
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

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        Ok(self.session(client.client_hello).into())
    }
}

struct NativeTlsStream {
    state: State,
    /// The library's end of it is in `state`.
    pipe: Pipe,
    /// From the ClientHello, because native-tls has no getter.
    server_name: Option<String>,
    session_id: Vec<u8>,
}

enum State {
    Start(::native_tls::TlsAcceptor),
    Handshaking(MidHandshakeTlsStream<Pipe>),
    Open(TlsStream<Pipe>),
    Failed,
}

impl NativeTlsStream {
    fn open(&mut self) -> io::Result<&mut TlsStream<Pipe>> {
        match &mut self.state {
            State::Open(stream) => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl PipedStream for NativeTlsStream {
    fn handshake(&mut self) -> io::Result<()> {
        let result = match std::mem::replace(&mut self.state, State::Failed) {
            State::Start(acceptor) => acceptor.accept(self.pipe.clone()),
            State::Handshaking(stream) => stream.handshake(),
            State::Open(stream) => Ok(stream),
            State::Failed => return Err(io::ErrorKind::NotConnected.into()),
        };
        match result {
            Ok(stream) => {
                self.state = State::Open(stream);
                Ok(())
            }
            Err(HandshakeError::WouldBlock(stream)) => {
                self.state = State::Handshaking(stream);
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(HandshakeError::Failure(error)) => Err(io::Error::other(error)),
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
            server_name: self.server_name.clone(),
            // A TLS 1.2 server echoes the session id only when it resumes (RFC 5246 section
            // 7.4.1.3).
            resumed: hello
                .filter(|hello| hello.version == TlsVersion::TLS_1_2)
                .map(|hello| !asked.is_empty() && hello.session_id == *asked),
            // native-tls has no getter for the rest.
            ..Negotiated::default()
        }
    }

    fn read(&mut self, buf: &mut dyn BufMut) -> io::Result<usize> {
        let stream = self.open()?;
        read_through(buf, |slice| stream.read(slice))
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.open()?.write(buf)
    }

    fn send_close_notify(&mut self) {
        if let State::Open(stream) = &mut self.state {
            // The pipe takes it without waiting. The result only shows whether the peer has sent
            // its close_notify.
            let _ = stream.shutdown();
        }
    }
}
