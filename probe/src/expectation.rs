//! Rules that a report is held against.

use std::{fmt, net::SocketAddr};

use super::{
    Http2, Malformed, Offer, Outcome, ProbeOptions, Report, Row, Trust, alerts, probe_blocking,
};
use crate::{
    alpn::ProtocolName,
    error::{Chain, Error},
    negotiated::TlsVersion,
};

/// What a server is to answer to an offer, as it is written on a command line: `OFFER=ANSWER`.
///
/// OFFER is
/// - protocols, `h2` or `h2,http/1.1`;
/// - `none`, no ALPN extension;
/// - `malformed`, every offer that is malformed, or one of them as [`Malformed`] is displayed,
///   `malformed: empty list`;
///
/// and it may end with ` (TLS 1.2)` or ` (TLS 1.3)` to mean the offer under that version only.
/// Without that it means the one that leaves the version to the server.
///
/// ANSWER is
/// - a protocol of the offer, which is to be negotiated; `h2` has to be served, too. With `none=h2`
///   no protocol is negotiated but HTTP/2 is served;
/// - `none`: the handshake is done, without ALPN;
/// - `alert`, any fatal alert, or this one, `alert:120` or `alert:no_application_protocol`;
/// - `close`: the connection is closed without an alert.
///
/// A rule of one protocol only, `h2` or `h2 (TLS 1.2)`, wants that it is chosen. In names of protocols
/// a byte may be written `\x20`; spaces, brackets, commas and what is not ASCII have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    pub(super) offer: Matched,
    pub(super) version: Option<TlsVersion>,
    pub(super) answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    Protocols(Vec<ProtocolName>),
    None,
    Malformed(Option<Malformed>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Protocol(ProtocolName),
    None,
    Alert(Option<u8>),
    Close,
}

impl Expectation {
    /// The offer that the rule is about, to be added to those that are made. `None` where it is
    /// about all that are malformed.
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

    /// Whether no answer can be as both want it.
    pub fn contradicts(&self, other: &Self) -> bool {
        let about_the_same = match (self.offer(), other.offer()) {
            (Some(own), Some(others)) => own == others,
            (Some(one), None) | (None, Some(one)) => one.as_malformed().is_some(),
            (None, None) => true,
        };
        let none_of_both = match (&self.answer, &other.answer) {
            (Answer::Alert(None), Answer::Alert(_)) | (Answer::Alert(_), Answer::Alert(None)) => {
                false
            }
            // Without ALPN HTTP/2 may be served all the same.
            (Answer::None, Answer::Protocol(_)) | (Answer::Protocol(_), Answer::None)
                if self.offer == Matched::None =>
            {
                false
            }
            (one, another) => one != another,
        };
        about_the_same && none_of_both
    }

    /// Whether this row is as it should be, if the rule is about it; if not, what is wrong. A row
    /// of [`Outcome::Unsupported`] is as it should be: nothing was offered.
    pub fn check(&self, row: &Row) -> Result<(), String> {
        if !self.concerns(&row.offer) || self.answer.is_met_by(row) {
            return Ok(());
        }
        Err(format!(
            "{} offered by {}: expected {}, got {}",
            row.offer, row.client, self.answer, row.outcome
        ))
    }

    /// What is wrong with the report; nothing if the rule holds. A rule about an offer that was
    /// never made does not hold.
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

/// In words.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(name) if *name == ProtocolName::H2 => f.write_str("h2 to be served"),
            Self::Protocol(name) => write!(f, "{name}"),
            Self::None => f.write_str("a handshake without ALPN"),
            Self::Alert(None) => f.write_str("an alert"),
            Self::Alert(Some(alert)) => write!(f, "alert {}", alerts::Shown(*alert)),
            Self::Close => f.write_str("a close without an alert"),
        }
    }
}

/// For tests: asks the server, trusting any certificate, and panics where one of the [rules](Expectation)
/// does not hold. The offers of the rules are added to [those that are always
/// made](Offer::defaults).
///
/// # Panics
///
/// Where a rule does not hold, with the whole table and the rows that are wrong; where a rule
/// cannot be read; where nobody answers.
#[track_caller]
#[allow(clippy::panic)] // It is an assertion.
pub fn assert_alpn(addr: SocketAddr, server_name: &str, rules: &[&str]) {
    if let Err(what) = check_alpn(addr, server_name, rules) {
        panic!("{what}");
    }
}

fn check_alpn(addr: SocketAddr, server_name: &str, rules: &[&str]) -> Result<(), String> {
    let all = |error: Error| Chain(&error).to_string();
    let rules = rules
        .iter()
        .map(|rule| rule.parse())
        .collect::<Result<Vec<Expectation>, _>>()
        .map_err(all)?;
    for (index, rule) in rules.iter().enumerate() {
        if let Some(other) = rules[..index].iter().find(|other| rule.contradicts(other)) {
            return Err(format!(
                "the rules {other} and {rule} contradict each other"
            ));
        }
    }
    let mut options = ProbeOptions {
        trust: Trust::Any,
        ..ProbeOptions::default()
    };
    for offer in rules.iter().filter_map(Expectation::offer) {
        if !options.offers.contains(&offer) {
            options.offers.push(offer);
        }
    }
    let report = probe_blocking(addr, server_name, &options).map_err(all)?;
    let wrong: Vec<_> = match report.is_reachable() {
        false => vec![format!("nobody answers at {addr}")],
        true => rules
            .iter()
            .flat_map(|rule| rule.check_report(&report))
            .collect(),
    };
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "ALPN is not as it should be:\n  {}\n{report}",
            wrong.join("\n  ")
        )),
    }
}

#[cfg(test)]
#[path = "expectation_tests.rs"]
mod tests;
