//! The rules that a report is checked against.

use std::fmt;

use corelane::{ProtocolName, tls::TlsVersion};

use super::{
    alerts::NamedAlert,
    offer::{Malformed, Offer},
    outcome::{Http2, Outcome},
    report::{Report, Row},
};

/// A rule, `OFFER=ANSWER`: how a server has to answer an offer. Parse it from a string.
///
/// OFFER is
/// - protocols: `h2` or `h2,http/1.1`;
/// - `none`: no ALPN extension;
/// - `malformed`: every malformed offer, or one of them as [`Malformed`] is displayed,
///   `malformed: empty list`.
///
/// ` (TLS 1.2)` after OFFER, or another version from 1.0 to 1.3, means the offer under that version only.
/// A client that cannot offer the version is left out; [`Client::Openssl`](crate::Client::Openssl) has all
/// four unless the system's policy turns one off. Without a version the
/// rule is about the offer that leaves the version to the server.
///
/// ANSWER is
/// - a protocol of the offer: the server has to choose it; `h2` has to be served, too. `none=h2`
///   means that no protocol is negotiated and HTTP/2 is served;
/// - `none`: the handshake completes without ALPN;
/// - `alert`: any fatal alert; `alert:120` or `alert:no_application_protocol`: this one;
/// - `close`: the server closes the connection without an alert.
///
/// A protocol alone, `h2` or `h2 (TLS 1.2)`, means that the server has to choose it. In the name of a
/// protocol a byte can be written as `\x20`; spaces, brackets, commas and bytes that are not ASCII
/// have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    pub(crate) offer: Matched,
    pub(crate) version: Option<TlsVersion>,
    pub(crate) answer: Answer,
}

/// Which offers a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matched {
    Protocols(Vec<ProtocolName>),
    None,
    /// `None`: every malformed offer.
    Malformed(Option<Malformed>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Protocol(ProtocolName),
    None,
    /// `None`: any alert.
    Alert(Option<u8>),
    Close,
}

impl Expectation {
    /// The offer that the rule is about; `None` if it is about every malformed offer.
    pub fn offer(&self) -> Option<Offer> {
        let offer = match &self.offer {
            Matched::Protocols(names) => Offer::new(names.iter().cloned()),
            Matched::None => Offer::none(),
            Matched::Malformed(malformed) => Offer::malformed((*malformed)?),
        };
        Some(match self.version {
            Some(version) => offer.only(version),
            None => offer,
        })
    }

    /// Whether the rule is about this offer.
    pub fn concerns(&self, offer: &Offer) -> bool {
        match self.offer() {
            Some(own) => own == *offer,
            None => offer.as_malformed().is_some() && offer.version() == self.version,
        }
    }

    /// Whether no answer can meet both rules.
    pub fn contradicts(&self, other: &Self) -> bool {
        let same_offer = match (self.offer(), other.offer()) {
            (Some(own), Some(others)) => own == others,
            (Some(one), None) | (None, Some(one)) => one.as_malformed().is_some(),
            (None, None) => true,
        };
        let exclusive = match (&self.answer, &other.answer) {
            (Answer::Alert(None), Answer::Alert(_)) | (Answer::Alert(_), Answer::Alert(None)) => {
                false
            }
            // Without ALPN the server may still serve HTTP/2.
            (Answer::None, Answer::Protocol(_)) | (Answer::Protocol(_), Answer::None)
                if self.offer == Matched::None =>
            {
                false
            }
            (one, another) => one != another,
        };
        same_offer && exclusive
    }

    /// Checks one row. A row that the rule is not about passes, and so does one of
    /// [`Outcome::Unsupported`]: nothing was offered.
    ///
    /// # Errors
    ///
    /// The row breaks the rule: what was expected and what the server answered.
    pub fn check(&self, row: &Row) -> Result<(), String> {
        if !self.concerns(&row.offer) || self.answer.is_met_by(row) {
            return Ok(());
        }
        Err(format!(
            "{} offered by {}: expected {}, got {}",
            row.offer, row.client, self.answer, row.outcome
        ))
    }

    /// What is wrong with the report; empty if the rule holds. A rule about an offer that was never
    /// made does not hold.
    pub fn check_report(&self, report: &Report) -> Vec<String> {
        let concerned = |row: &&Row| {
            self.concerns(&row.offer) && !matches!(row.outcome, Outcome::Unsupported(_))
        };
        if !report.rows.iter().any(|row| concerned(&row)) {
            return vec![format!("{self}: no such offer was made")];
        }
        let checked = report.rows.iter().map(|row| self.check(row));
        checked.filter_map(Result::err).collect()
    }
}

impl Answer {
    fn is_met_by(&self, row: &Row) -> bool {
        match (&row.outcome, self) {
            (Outcome::Unsupported(_), _)
            | (Outcome::Closed, Self::Close)
            | (Outcome::Alert(_), Self::Alert(None)) => true,
            (Outcome::Alert(alert), Self::Alert(Some(wanted))) => alert == wanted,
            (
                Outcome::Negotiated {
                    alpn_protocol,
                    http2,
                    ..
                },
                answer,
            ) => {
                let served = matches!(http2, Some(Http2::Served(_)));
                match (alpn_protocol, answer) {
                    (Some(name), Self::Protocol(wanted)) => {
                        name == wanted && (*name != ProtocolName::H2 || served)
                    }
                    (None, Self::Protocol(wanted)) => {
                        *wanted == ProtocolName::H2 && row.offer.protocols().is_empty() && served
                    }
                    (None, Self::None) => true,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// The answer in words.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(name) if *name == ProtocolName::H2 => f.write_str("h2 to be served"),
            Self::Protocol(name) => write!(f, "{name}"),
            Self::None => f.write_str("a handshake without ALPN"),
            Self::Alert(None) => f.write_str("an alert"),
            Self::Alert(Some(alert)) => write!(f, "alert {}", NamedAlert(*alert)),
            Self::Close => f.write_str("a close without an alert"),
        }
    }
}

#[cfg(test)]
mod tests;
