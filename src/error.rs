//! The one error of this crate: opaque, with questions to ask of it.

use std::{any::Any, error::Error as StdError, fmt, io};

use crate::alert::AlertDescription;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why something failed.
///
/// What kind of failure it was is asked with the `is_*` methods; the text says what happened and,
/// where there is something to do about it, what; the cause is kept as
/// [`source`](StdError::source).
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
    /// A value that the user gave cannot be used.
    Config,
    /// The backend has no way to do what was asked of it.
    Unsupported,
    /// A listener could not be opened.
    Bind,
    /// A worker could not start.
    Worker,
    /// The TLS handshake failed.
    Handshake,
    /// The two sides have no application protocol in common.
    AlpnMismatch,
    /// The session negotiated something else than what was decided on the ClientHello.
    AlpnDisagreement,
    /// The client speaks HTTP/1.x, or HTTP where TLS belongs.
    PlainHttp,
    /// A proxy sent no PROXY header, or one that cannot be used.
    ProxyHeader,
    /// The peer ended the connection without saying so (no close_notify).
    Truncated,
    /// A time limit of [`Limits`](crate::Limits) ran out.
    Timeout,
    /// The HTTP/2 layer ended the connection or the stream.
    Http2,
    /// The request's body is larger than is allowed.
    BodyTooLarge,
    /// The handshake was given up for a newer one.
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

    pub(crate) fn with(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// An option, key or value that cannot be used. For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor).
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// An option that this backend has no way to honour. For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor): say so when the acceptor is built.
    pub fn unsupported(backend: &str, option: &str, why: &str) -> Self {
        Self::new(
            Kind::Unsupported,
            format!("{backend} does not support {option}: {why}"),
        )
    }

    /// A handshake that failed. For implementors of [`TlsAcceptor`](crate::tls::TlsAcceptor).
    pub fn handshake(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Handshake, message).with(source)
    }

    /// A handshake that is refused with this alert. For implementors of
    /// [`TlsAcceptor`](crate::tls::TlsAcceptor), whose `start` may look at the ClientHello.
    pub fn refused(alert: AlertDescription, message: impl Into<String>) -> Self {
        let kind = match alert {
            AlertDescription::NoApplicationProtocol => Kind::AlpnMismatch,
            _ => Kind::Handshake,
        };
        let mut error = Self::new(kind, message);
        error.inner.alert = Some(alert);
        error
    }

    /// Gives an error that has no alert this one.
    pub(crate) fn or_alert(mut self, alert: AlertDescription) -> Self {
        self.inner.alert.get_or_insert(alert);
        self
    }

    /// What the client is told.
    pub(crate) fn alert(&self) -> Option<AlertDescription> {
        self.inner.alert
    }

    pub(crate) fn timeout(what: &str, limit: std::time::Duration) -> Self {
        Self::new(Kind::Timeout, format!("{what} took longer than {limit:?}"))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// A value given by the user of this crate cannot be used.
    pub fn is_config(&self) -> bool {
        self.inner.kind == Kind::Config
    }

    /// The chosen TLS backend or driver cannot do what was asked.
    pub fn is_unsupported(&self) -> bool {
        self.inner.kind == Kind::Unsupported
    }

    /// A listening socket could not be opened.
    pub fn is_bind(&self) -> bool {
        self.inner.kind == Kind::Bind
    }

    /// A worker could not start, or ended when it should not have.
    pub fn is_worker(&self) -> bool {
        self.inner.kind == Kind::Worker
    }

    /// The TLS handshake failed. An ALPN mismatch is one way to fail.
    pub fn is_handshake(&self) -> bool {
        matches!(
            self.inner.kind,
            Kind::Handshake | Kind::AlpnMismatch | Kind::AlpnDisagreement | Kind::PlainHttp
        )
    }

    /// The client speaks HTTP/1.x, or HTTP where TLS belongs: it was told so by a response of
    /// HTTP/1.1, 400 on a port with TLS and 505 on one without. A handshake that failed, too.
    pub fn is_plain_http(&self) -> bool {
        self.inner.kind == Kind::PlainHttp
    }

    /// The connection came from a network of [`Builder::proxy_protocol`](crate::Builder::proxy_protocol)
    /// and did not begin with a PROXY header, or with one that cannot be used.
    pub fn is_proxy_header(&self) -> bool {
        self.inner.kind == Kind::ProxyHeader
    }

    /// The client offered no application protocol that the server speaks (RFC 7301 section 3.2):
    /// it was sent the alert `no_application_protocol`.
    pub fn is_alpn_mismatch(&self) -> bool {
        self.inner.kind == Kind::AlpnMismatch
    }

    /// The TLS session reported another protocol than the one decided on the ClientHello.
    pub fn is_alpn_disagreement(&self) -> bool {
        self.inner.kind == Kind::AlpnDisagreement
    }

    /// A time limit of [`Limits`](crate::Limits) ran out.
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == Kind::Timeout
    }

    /// The connection ended without the close that the protocol wants (for TLS: close_notify).
    pub fn is_truncated(&self) -> bool {
        self.inner.kind == Kind::Truncated
    }

    /// HTTP/2 ended the connection or the stream; the source is an [`h2::Error`].
    pub fn is_http2(&self) -> bool {
        self.inner.kind == Kind::Http2
    }

    /// A request's body is larger than
    /// [`Http2Config::max_request_body_size`](crate::Http2Config::max_request_body_size).
    pub fn is_body_too_large(&self) -> bool {
        self.inner.kind == Kind::BodyTooLarge
    }

    /// The socket failed; the source is an [`io::Error`].
    pub fn is_io(&self) -> bool {
        self.inner.kind == Kind::Io
    }
}

/// Sorts an error of the socket or of a session by the same questions: what the socket met, what
/// a time limit ended, what the peer cut short.
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
        Self::new(kind, message).with(error)
    }
}

impl From<h2::Error> for Error {
    fn from(error: h2::Error) -> Self {
        if error.is_io() {
            match error.into_io() {
                Some(error) => error.into(),
                None => Self::new(Kind::Io, "the connection failed"),
            }
        } else {
            Self::new(Kind::Http2, "HTTP/2 error").with(error)
        }
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

/// An error with all its causes on one line, for logs and terminals.
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

/// What a panic said, where it said something.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a panic without a message"
    }
}
