//! The outcome of one offer.

use std::fmt;

use corelane::{
    ProtocolName,
    tls::{CipherSuite, NamedGroup, TlsVersion},
};

use super::alerts::NamedAlert;

/// How a connection ended that made one offer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handshake was completed.
    #[non_exhaustive]
    Negotiated {
        /// The protocol that the server chose; `None` if it sent no ALPN extension.
        alpn_protocol: Option<ProtocolName>,
        /// The version of TLS.
        tls_version: Option<TlsVersion>,
        /// The cipher suite.
        cipher_suite: Option<CipherSuite>,
        /// The group of the key exchange; `None` if it had none, as with RSA's.
        key_exchange_group: Option<NamedGroup>,
        /// How the server answered HTTP/2. The prober speaks HTTP/2 where `h2` was negotiated, and
        /// where no protocol was offered and none was chosen: some servers accept HTTP/2 with prior
        /// knowledge there (RFC 9113 section 3.3).
        http2: Option<Http2>,
    },
    /// The server sent this fatal alert (RFC 8446 section 6.2).
    Alert(u8),
    /// The server's answer after its ServerHello is encrypted, as TLS 1.3 requires, and may be an
    /// alert: [`Client::Raw`](crate::Client::Raw) cannot decrypt it. It asks again under TLS 1.2,
    /// so this outcome remains for servers that have TLS 1.3 only.
    Encrypted,
    /// The server closed or reset the connection without an alert.
    Closed,
    /// The answer is not TLS; its beginning.
    NotTls(String),
    /// A client has to refuse the answer; the reason.
    Invalid(String),
    /// This client lacks something that the server requires, or has a limit that the server exceeds,
    /// and another client could do without; the reason.
    Incompatible(String),
    /// The server's certificate is not trusted; the reason.
    Untrusted(String),
    /// The server did not answer in time.
    TimedOut,
    /// There was no connection to the server; the reason.
    Unreachable(String),
    /// This client cannot make this offer; the reason.
    Unsupported(String),
}

/// How the server answered HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// SETTINGS were exchanged, and the server answered a GET with this status.
    Served(u16),
    /// The server began with SETTINGS and did not answer the GET; the reason.
    Spoken(String),
    /// The server sent no SETTINGS; the answer that it sent instead.
    NotServed(String),
    /// This client cannot read the answer, and another client could; the reason.
    Incompatible(String),
}

impl Outcome {
    /// The server answered with a version that no client here has.
    pub(crate) fn below_tls_1_2(version: TlsVersion) -> Self {
        Self::Incompatible(format!(
            "the server has {version} only, this client TLS 1.2"
        ))
    }

    /// What this client lacks, or its limit that the server exceeds.
    pub(crate) fn client_limit(&self) -> Option<&str> {
        match self {
            Self::Incompatible(why) => Some(why),
            _ => None,
        }
    }

    /// Whether the server answered in TLS, even if the answer is wrong.
    pub(crate) fn is_tls(&self) -> bool {
        !matches!(
            self,
            Self::Closed
                | Self::NotTls(_)
                | Self::TimedOut
                | Self::Unreachable(_)
                | Self::Unsupported(_)
        )
    }
}

/// `h2, TLS 1.3, TLS_AES_128_GCM_SHA256, x25519, GET 200`, `alert 120 no_application_protocol`, `closed`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negotiated {
                alpn_protocol,
                tls_version,
                cipher_suite,
                key_exchange_group,
                http2,
            } => {
                match alpn_protocol {
                    Some(name) => write!(f, "{name}")?,
                    None => f.write_str("no ALPN")?,
                }
                if let Some(version) = tls_version {
                    write!(f, ", {version}")?;
                }
                if let Some(suite) = cipher_suite {
                    write!(f, ", {suite}")?;
                }
                if let Some(group) = key_exchange_group {
                    write!(f, ", {group}")?;
                }
                match (http2, alpn_protocol) {
                    (Some(Http2::Served(status)), Some(_)) => write!(f, ", GET {status}"),
                    (Some(Http2::Served(status)), None) => {
                        write!(f, ", HTTP/2 anyway: GET {status}")
                    }
                    (Some(Http2::NotServed(what)), Some(_)) => {
                        write!(f, ", HTTP/2 NOT SERVED: {what}")
                    }
                    (Some(Http2::Spoken(why)), Some(_)) => {
                        write!(f, ", HTTP/2 spoken, GET not answered: {why}")
                    }
                    (Some(Http2::Spoken(why)), None) => {
                        write!(f, ", HTTP/2 anyway, GET not answered: {why}")
                    }
                    (Some(Http2::Incompatible(why)), Some(_)) => {
                        write!(f, ", HTTP/2 not readable by this client: {why}")
                    }
                    // Without ALPN the server did not promise HTTP/2.
                    (Some(Http2::NotServed(_) | Http2::Incompatible(_)), None) | (None, _) => {
                        Ok(())
                    }
                }
            }
            Self::Alert(description) => write!(f, "alert {}", NamedAlert(*description)),
            Self::Encrypted => f.write_str("encrypted, perhaps an alert"),
            Self::Closed => f.write_str("closed"),
            Self::NotTls(what) => write!(f, "no TLS: {what}"),
            Self::Incompatible(why) => write!(f, "incompatible: {why}"),
            Self::Invalid(what) => write!(f, "invalid: {what}"),
            Self::Untrusted(why) => write!(f, "untrusted: {why}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Unsupported(why) => write!(f, "not offered: {why}"),
        }
    }
}
