//! A server's answers, row by row.

use std::{fmt, net::SocketAddr, time::Duration};

use corelane::ProtocolName;

use super::{
    client::Client,
    offer::Offer,
    outcome::{Http2, Outcome},
};

/// How many well-formed offers in a row may time out before the prober stops: the rows of further offers
/// to a stalled server would say nothing new.
const STALLED: usize = 3;

/// Every answer of a server to every offer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The server's address.
    pub addr: SocketAddr,
    /// The name that was asked for.
    pub server_name: String,
    /// One row for each offer and client, in the order in which the offers were made. If the server chose
    /// nothing, the last rows offer the other registered protocols.
    pub rows: Vec<Row>,
    /// The alert with which the server refused a connection for want of a client certificate that it
    /// accepts.
    pub client_certificate_alert: Option<u8>,
}

/// One offer by one client, and its outcome.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The client that made the offer.
    pub client: Client,
    /// The offer.
    pub offer: Offer,
    /// The server's answer.
    pub outcome: Outcome,
    /// Whether that is right.
    pub verdict: Verdict,
    /// From the start of the connection to the outcome.
    pub time: Duration,
}

/// Whether an answer conforms to RFC 7301, RFC 8446 and RFC 9113.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The answer conforms.
    Conforms,
    /// The answer violates this rule, given with its section.
    Violates(String),
    /// There is no answer that could be judged.
    NotJudged,
}

/// The reason why a certificate is not trusted, as far as the TLS library's message shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It has expired or is not valid yet, or this machine's clock is wrong.
    Dates,
    /// It is for another name.
    Name,
    /// No trusted certificate has issued it, or the reason is another one.
    Issuer,
}

impl Report {
    /// Whether there is a TLS server: some connection got an answer, even if it is a refusal.
    pub fn is_reachable(&self) -> bool {
        let any = |is: fn(&Outcome) -> bool| self.rows.iter().any(|row| is(&row.outcome));
        any(Outcome::is_tls) || any(|it| *it == Outcome::Closed) && self.not_tls().is_none()
    }

    /// The server's answer instead of TLS, if it never spoke TLS.
    pub(crate) fn not_tls(&self) -> Option<&str> {
        if self.rows.iter().any(|row| row.outcome.is_tls()) {
            return None;
        }
        self.rows.iter().find_map(|row| match &row.outcome {
            Outcome::NotTls(what) => Some(&**what),
            _ => None,
        })
    }

    /// The TLS clients that made offers and completed no handshake: their rows say little about the
    /// server's ALPN.
    pub fn without_handshake(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for row in &self.rows {
            let completed = |other: &Row| {
                other.client == row.client
                    && match &other.outcome {
                        Outcome::Negotiated { http2, .. } => {
                            // The refusal comes last: what has not answered may still refuse.
                            self.client_certificate_alert.is_none()
                                || matches!(http2, Some(Http2::Served(_)))
                        }
                        _ => false,
                    }
            };
            let made_offer = !matches!(row.outcome, Outcome::Unsupported(_));
            if made_offer
                && row.client != Client::Raw
                && !clients.contains(&row.client)
                && !self.rows.iter().any(completed)
            {
                clients.push(row.client);
            }
        }
        clients
    }

    /// The first certificate that was not trusted: the kind of fault and the library's message.
    pub fn certificate_fault(&self) -> Option<(CertificateFault, &str)> {
        let why = self.rows.iter().find_map(|row| match &row.outcome {
            Outcome::Untrusted(why) => Some(&**why),
            _ => None,
        })?;
        // In the words of rustls and of OpenSSL, whose releases differ in upper and lower case.
        let lower = why.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let fault = if says(&["expired", "not valid yet", "not yet valid"]) {
            CertificateFault::Dates
        } else if says(&[
            "not valid for name",
            "hostname mismatch",
            "ip address mismatch",
        ]) {
            CertificateFault::Name
        } else {
            CertificateFault::Issuer
        };
        Some((fault, why))
    }

    /// Whether it completed handshakes with offers of protocols and chose none of them.
    pub(crate) fn chose_nothing(&self) -> bool {
        let mut completed = self.rows.iter().filter(|row| {
            !row.offer.protocols().is_empty() && matches!(row.outcome, Outcome::Negotiated { .. })
        });
        completed.clone().all(|row| row.chosen().is_none()) && completed.next().is_some()
    }

    /// Whether [`STALLED`] well-formed offers in a row went without an answer.
    pub(crate) fn is_stalled(&self) -> bool {
        let well_formed = self
            .rows
            .iter()
            .rev()
            .filter(|row| row.offer.as_malformed().is_none());
        let last = well_formed.take(STALLED).map(|row| &row.outcome);
        last.filter(|it| **it == Outcome::TimedOut).count() == STALLED
    }
}

impl Row {
    /// The protocol that the server chose.
    pub(crate) fn chosen(&self) -> Option<&ProtocolName> {
        match &self.outcome {
            Outcome::Negotiated { alpn_protocol, .. } => alpn_protocol.as_ref(),
            _ => None,
        }
    }
}

/// `conforms`, `VIOLATES: ` and the rule, `not judged`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conforms => f.write_str("conforms"),
            Self::Violates(rule) => write!(f, "VIOLATES: {rule}"),
            Self::NotJudged => f.write_str("not judged"),
        }
    }
}
