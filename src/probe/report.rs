//! What a server answered, row by row.

use std::{fmt, net::SocketAddr, time::Duration};

use super::Offer;
use crate::{
    alpn::ProtocolName,
    negotiated::{CipherSuite, TlsVersion},
};

/// Who made an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Client {
    /// rustls, feature `probe-rustls`.
    Rustls,
    /// native-tls, feature `probe-native-tls`.
    NativeTls,
    /// ClientHellos made by hand.
    Raw,
}

/// Every answer of a server to every offer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Where the server was asked.
    pub addr: SocketAddr,
    /// By which name.
    pub server_name: String,
    /// In the order asked: offer by offer, client by client.
    pub rows: Vec<Row>,
}

/// One offer by one client, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// Who offered.
    pub client: Client,
    /// What.
    pub offer: Offer,
    /// What the server answered.
    pub outcome: Outcome,
    /// Whether it should have.
    pub verdict: Verdict,
    /// From the start of the connection to the outcome.
    pub time: Duration,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handshake was completed.
    #[non_exhaustive]
    Negotiated {
        /// The protocol that the server chose; `None`: it sent no ALPN extension.
        alpn_protocol: Option<ProtocolName>,
        /// The version of TLS.
        tls_version: Option<TlsVersion>,
        /// The cipher suite.
        cipher_suite: Option<CipherSuite>,
        /// What came of speaking HTTP/2, where `h2` was negotiated; and where no protocol was
        /// offered and none chosen: some servers serve HTTP/2 then to who speaks it all the same
        /// (RFC 9113 section 3.3).
        http2: Option<Http2>,
    },
    /// The server sent this fatal alert (RFC 8446 section 6.2).
    Alert(u8),
    /// The server refused by an alert behind its ServerHello, which under TLS 1.3 is encrypted:
    /// [`Client::Raw`] cannot read its number. It asks again under TLS 1.2, so that this is left
    /// for servers that have TLS 1.3 only.
    EncryptedAlert,
    /// The server closed or reset the connection without an alert.
    Closed,
    /// The answer was no TLS, or one that a client has to refuse: why.
    Invalid(String),
    /// The server's certificate is not trusted: why. Ask again without verification.
    Untrusted(String),
    /// No answer in time.
    TimedOut,
    /// There was no connection to the server: why.
    Unreachable(String),
    /// This client has no way to make this offer: why.
    Unsupported(String),
}

/// What came of speaking HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// SETTINGS were exchanged and a GET answered with this status.
    Served(u16),
    /// Advertised and not served: what came instead.
    NotServed(String),
}

/// Whether an answer is what RFC 7301 and RFC 9113 want.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is.
    Conforms,
    /// It is not: which rule it breaks, with the section.
    Violates(String),
    /// Nothing can be said: there was no answer to judge.
    NotJudged,
}

impl Report {
    /// Whether there is a server: some connection got an answer, be it a refusal.
    pub fn is_reachable(&self) -> bool {
        self.rows.iter().any(|row| row.outcome.is_answer())
    }

    /// What there is to say about the server as a whole.
    pub fn note(&self) -> Option<&'static str> {
        if !self.is_reachable() {
            return Some("Nobody answers.");
        }
        let mut offered = self.rows.iter().filter(|row| {
            !row.offer.protocols().is_empty() && matches!(row.outcome, Outcome::Negotiated { .. })
        });
        let ignored = offered.clone().all(|row| row.chosen().is_none());
        (offered.next().is_some() && ignored).then_some(
            "The server ignores ALPN. RFC 7301 allows that, but HTTP/2 cannot be negotiated.",
        )
    }
}

impl Row {
    /// The protocol that the server chose.
    pub(super) fn chosen(&self) -> Option<&ProtocolName> {
        match &self.outcome {
            Outcome::Negotiated { alpn_protocol, .. } => alpn_protocol.as_ref(),
            _ => None,
        }
    }
}

impl Outcome {
    /// Whether the server did something.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(
            self,
            Self::TimedOut | Self::Unreachable(_) | Self::Unsupported(_)
        )
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustls => "rustls",
            Self::NativeTls => "native-tls",
            Self::Raw => "raw",
        })
    }
}
