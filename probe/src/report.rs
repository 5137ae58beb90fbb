//! What a server answered, row by row.

use std::{fmt, net::SocketAddr, time::Duration};

use super::{Offer, alerts, run::is_stalled};
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
    /// What the server answered behind its ServerHello is encrypted, as TLS 1.3 wants it, and may
    /// be an alert: [`Client::Raw`] cannot tell. It asks again under TLS 1.2, so that this is left
    /// for servers that have TLS 1.3 only.
    Encrypted,
    /// The server closed or reset the connection without an alert.
    Closed,
    /// The answer was no TLS: how it begins.
    NotTls(String),
    /// The answer is one that a client has to refuse: why.
    Invalid(String),
    /// This client cannot do what the server wants, and another could: why.
    Incompatible(String),
    /// The server's certificate is not trusted: why.
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
    /// The server began with SETTINGS, but did not answer the GET: why.
    Spoken(String),
    /// Advertised and not served: what came instead of SETTINGS.
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
    /// Whether there is a server of TLS: some connection got an answer, be it a refusal.
    pub fn is_reachable(&self) -> bool {
        let any = |is: fn(&Outcome) -> bool| self.rows.iter().any(|row| is(&row.outcome));
        any(Outcome::is_tls) || any(|it| *it == Outcome::Closed) && self.not_tls().is_none()
    }

    /// What came where TLS was due, if it was never TLS.
    fn not_tls(&self) -> Option<&str> {
        if self.rows.iter().any(|row| row.outcome.is_tls()) {
            return None;
        }
        self.rows.iter().find_map(|row| match &row.outcome {
            Outcome::NotTls(what) => Some(&**what),
            _ => None,
        })
    }

    /// The TLS clients that made offers and got no handshake through, so that what they report says
    /// little of what the server does with ALPN.
    pub fn without_handshake(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for row in &self.rows {
            let through = |other: &Row| {
                other.client == row.client && matches!(other.outcome, Outcome::Negotiated { .. })
            };
            let made = !matches!(row.outcome, Outcome::Unsupported(_));
            if made
                && row.client != Client::Raw
                && !clients.contains(&row.client)
                && !self.rows.iter().any(through)
            {
                clients.push(row.client);
            }
        }
        clients
    }

    /// What there is to say about the server as a whole.
    pub fn note(&self) -> Option<String> {
        if let Some(what) = self.not_tls() {
            return Some(format!(
                "This port does not speak TLS (it answered `{what}`): is it the right one? \
                 STARTTLS is not supported."
            ));
        }
        if !self.is_reachable() {
            return Some("Nobody answers.".into());
        }
        if is_stalled(&self.rows) {
            return Some("The server stopped answering: no more offers were made.".into());
        }
        let clients = self.without_handshake();
        if !clients.is_empty() {
            return Some(self.why_no_handshake(&clients));
        }
        let mut offered = self.rows.iter().filter(|row| {
            !row.offer.protocols().is_empty() && matches!(row.outcome, Outcome::Negotiated { .. })
        });
        let ignored = offered.clone().all(|row| row.chosen().is_none());
        (offered.next().is_some() && ignored).then(|| {
            "The server ignores ALPN. RFC 7301 allows that, but HTTP/2 cannot be negotiated.".into()
        })
    }

    fn why_no_handshake(&self, clients: &[Client]) -> String {
        let theirs = |row: &&Row| clients.contains(&row.client);
        let mut outcomes = self.rows.iter().filter(theirs).map(|row| &row.outcome);
        let all = |alert| outcomes.clone().all(|it| *it == Outcome::Alert(alert));
        if all(alerts::NO_APPLICATION_PROTOCOL) {
            return "No offer was taken: is `h2` or `http/1.1` configured?".into();
        }
        if all(alerts::UNRECOGNIZED_NAME) {
            let name = &self.server_name;
            return format!("The server knows no name {name}: give another (--servername).");
        }
        if outcomes.any(|it| *it == Outcome::Alert(alerts::CERTIFICATE_REQUIRED)) {
            return "The server wants certificates of its clients, which is not supported.".into();
        }
        let names: Vec<_> = clients.iter().map(ToString::to_string).collect();
        let names = names.join(" and ");
        format!("No handshake of {names} got through: what that says of ALPN is little.")
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
    /// The server answered by a version that no client here has.
    pub(super) fn below_tls_1_2(version: TlsVersion) -> Self {
        Self::Incompatible(format!(
            "the server has {version} only, this client TLS 1.2"
        ))
    }

    /// Whether the server answered by TLS, be it badly.
    pub(super) fn is_tls(&self) -> bool {
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

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustls => "rustls",
            Self::NativeTls => "native-tls",
            Self::Raw => "raw",
        })
    }
}
