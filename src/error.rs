//! The error type of this crate: opaque, with `is_*` methods that tell its kind.

use std::{any::Any, error::Error as StdError, fmt, io};

use crate::alert::AlertDescription;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The error of all fallible functions of this crate.
///
/// The `is_*` methods tell its kind. The text says what is wrong and what to do about it; the cause
/// is its [`source`](StdError::source). [`Chain`] shows both on one line.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    message: String,
    source: Option<BoxError>,
    alert: Option<AlertDescription>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An option or a value of the caller is invalid.
    Config,
    /// The backend or the driver does not support an option.
    Unsupported,
    /// A listening socket cannot be opened.
    Bind,
    /// A worker cannot start, or panicked.
    Worker,
    /// The TLS handshake failed.
    Handshake,
    /// The two sides have no application protocol in common.
    AlpnMismatch,
    /// The session negotiated another protocol than the server chose from the ClientHello.
    AlpnDisagreement,
    /// The client speaks HTTP/1.x, or HTTP instead of TLS.
    PlainHttp,
    /// The client closed the connection before it sent a byte.
    NothingSent,
    /// The first bytes of the client are no TLS record.
    NotTls,
    /// The client's certificate is missing or refused.
    ClientCertificate,
    /// A proxy sent no PROXY header, or an invalid one.
    ProxyHeader,
    /// The peer ended the connection without close_notify.
    Truncated,
    /// A time limit of [`Limits`](crate::Limits) was exceeded.
    Timeout,
    /// HTTP/2 ended the connection or the stream.
    Http2,
    /// A message of HTTP/1.x is malformed.
    #[cfg(feature = "http1")]
    Http1,
    /// The request's body is too large.
    BodyTooLarge,
    /// The server closed the connection to make room for a newer handshake.
    Displaced,
    /// The socket failed.
    Io,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
                alert: None,
            }),
        }
    }

    /// Sets the [`source`](StdError::source). For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor), to keep the TLS library's own error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Says where the error is, before its message.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.inner.message = format!("{place}: {}", self.inner.message);
        self
    }

    /// An option, key or value that is invalid. For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor).
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// An option that this backend does not support. For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor), to return when the acceptor is built.
    pub fn unsupported(backend: &str, option: &str, why: &str) -> Self {
        Self::new(
            Kind::Unsupported,
            format!("{backend} does not support {option}: {why}"),
        )
    }

    /// A handshake that failed. For implementors of [`TlsAcceptor`](crate::tls::TlsAcceptor).
    pub fn handshake(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Handshake, message).with_source(source)
    }

    /// A handshake that the server refuses with this alert. For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor), to return from `start`.
    pub fn refused(alert: AlertDescription, message: impl Into<String>) -> Self {
        let kind = match alert {
            AlertDescription::NoApplicationProtocol => Kind::AlpnMismatch,
            _ => Kind::Handshake,
        };
        let mut error = Self::new(kind, message);
        error.inner.alert = Some(alert);
        error
    }

    /// Sets the alert if the error has none.
    pub(crate) fn or_alert(mut self, alert: AlertDescription) -> Self {
        self.inner.alert.get_or_insert(alert);
        self
    }

    /// The alert that the client gets.
    pub(crate) fn alert(&self) -> Option<AlertDescription> {
        self.inner.alert
    }

    pub(crate) fn timeout(what: &str, limit: std::time::Duration) -> Self {
        Self::new(Kind::Timeout, format!("{what} took longer than {limit:?}"))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// An option or a value that the caller gave is invalid.
    pub fn is_config(&self) -> bool {
        self.inner.kind == Kind::Config
    }

    /// The chosen TLS backend or driver does not support an option.
    pub fn is_unsupported(&self) -> bool {
        self.inner.kind == Kind::Unsupported
    }

    /// A listening socket cannot be opened.
    pub fn is_bind(&self) -> bool {
        self.inner.kind == Kind::Bind
    }

    /// A worker cannot start, or panicked.
    pub fn is_worker(&self) -> bool {
        self.inner.kind == Kind::Worker
    }

    /// The TLS handshake failed. An ALPN mismatch is one way to fail.
    pub fn is_handshake(&self) -> bool {
        matches!(
            self.inner.kind,
            Kind::Handshake
                | Kind::AlpnMismatch
                | Kind::AlpnDisagreement
                | Kind::PlainHttp
                | Kind::NotTls
                | Kind::ClientCertificate
        )
    }

    /// The client speaks HTTP/1.x, or HTTP instead of TLS. The server answered it in HTTP/1.1, with 400
    /// on a port with TLS and with 505 on one without. [`is_handshake`](Self::is_handshake) is true
    /// too.
    pub fn is_plain_http(&self) -> bool {
        self.inner.kind == Kind::PlainHttp
    }

    /// The client sent no certificate where one is required, or one that the server refuses
    /// ([`ClientAuth`](crate::tls::ClientAuth)). [`is_handshake`](Self::is_handshake) is true too.
    pub fn is_client_certificate(&self) -> bool {
        self.inner.kind == Kind::ClientCertificate
    }

    /// A connection from a network of [`Builder::proxy_protocol`](crate::Builder::proxy_protocol) began
    /// without a PROXY header, or with an invalid one.
    pub fn is_proxy_header(&self) -> bool {
        self.inner.kind == Kind::ProxyHeader
    }

    /// The client offered no application protocol that the server speaks (RFC 7301 section 3.2). The
    /// server sent the alert `no_application_protocol`.
    pub fn is_alpn_mismatch(&self) -> bool {
        self.inner.kind == Kind::AlpnMismatch
    }

    /// The TLS session negotiated another protocol than the server chose from the ClientHello.
    pub fn is_alpn_disagreement(&self) -> bool {
        self.inner.kind == Kind::AlpnDisagreement
    }

    /// A time limit of [`Limits`](crate::Limits) was exceeded.
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == Kind::Timeout
    }

    /// The peer ended the connection without close_notify (RFC 8446 section 6.1).
    pub fn is_truncated(&self) -> bool {
        matches!(self.inner.kind, Kind::Truncated | Kind::NothingSent)
    }

    /// HTTP/2 ended the connection or the stream; the source says why.
    pub fn is_http2(&self) -> bool {
        self.inner.kind == Kind::Http2
    }

    /// A message of HTTP/1.x is malformed or too large; the source says why.
    #[cfg(feature = "http1")]
    pub fn is_http1(&self) -> bool {
        self.inner.kind == Kind::Http1
    }

    /// A request's body is larger than
    /// [`Http2Config::max_request_body_size`](crate::Http2Config#structfield.max_request_body_size).
    pub fn is_body_too_large(&self) -> bool {
        self.inner.kind == Kind::BodyTooLarge
    }

    /// The socket failed; the source is an [`io::Error`].
    pub fn is_io(&self) -> bool {
        self.inner.kind == Kind::Io
    }
}

/// Maps an error of a socket or a session to its kind: [`TimedOut`](io::ErrorKind::TimedOut) is a
/// time limit, [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) a missing close_notify.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let (kind, message) = match error.kind() {
            io::ErrorKind::TimedOut => (Kind::Timeout, "the peer took too long"),
            io::ErrorKind::UnexpectedEof => (
                Kind::Truncated,
                "the peer ended the connection without close_notify",
            ),
            _ => (Kind::Io, "the connection failed"),
        };
        Self::new(kind, message).with_source(error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.inner.kind)
            .field("message", &self.inner.message);
        if let Some(source) = &self.inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

/// Displays an error and all its causes on one line, for logs and terminals.
///
/// ```
/// use corelane::{Chain, tls::Identity};
///
/// let error = Identity::from_pem_files("no-such-file", "key.pem").expect_err("no file");
/// let text = Chain(&error).to_string();
/// assert!(text.starts_with("cannot read no-such-file: "), "{text}");
/// ```
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// The message of a panic, if it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a panic without a message"
    }
}
