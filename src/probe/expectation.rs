//! Rules that a report is held against.

use std::{fmt, net::SocketAddr, str::FromStr};

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
/// - a protocol, which is to be negotiated; `h2` has to be served, too. With `none=h2` no protocol
///   is negotiated but HTTP/2 is served;
/// - `none`: the handshake is done, without ALPN;
/// - `alert`, any fatal alert, or `alert:120`, this one;
/// - `close`: the connection is closed without an alert.
///
/// A rule of one protocol only, `h2`, is short for `h2=h2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    offer: Matched,
    version: Option<TlsVersion>,
    answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matched {
    Protocols(Vec<ProtocolName>),
    None,
    Malformed(Option<Malformed>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
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

impl FromStr for Expectation {
    type Err = Error;

    fn from_str(rule: &str) -> Result<Self, Error> {
        let wrong = |what: &str| {
            Error::config(format!(
                "the rule {rule:?} {what}: a rule is OFFER=ANSWER, or a protocol that is to be \
                 chosen when offered alone. OFFER is protocols (h2,http/1.1), none or malformed, \
                 ANSWER a protocol, none, alert, alert:NUMBER or close"
            ))
        };
        let (offer, answer) = match rule.split_once('=') {
            Some((offer, answer)) => (offer.trim(), answer.trim()),
            None if matches!(rule.trim(), "none" | "malformed") || rule.contains(',') => {
                return Err(wrong("has no answer"));
            }
            None => (rule.trim(), rule.trim()),
        };
        let mut version = None;
        let mut matched = offer;
        for known in [TlsVersion::TLS_1_2, TlsVersion::TLS_1_3] {
            if let Some(rest) = offer.strip_suffix(&format!("({known})")) {
                (matched, version) = (rest.trim_end(), Some(known));
            }
        }
        let malformed = |text| Malformed::ALL.into_iter().find(|m| m.to_string() == text);
        let name = |name: &str| ProtocolName::new(unescaped(name.trim()));
        let offer = match matched {
            "none" => Matched::None,
            "malformed" => Matched::Malformed(None),
            text if text.starts_with("malformed:") => match malformed(text) {
                None => return Err(wrong("names nothing that is offered malformed")),
                known => Matched::Malformed(known),
            },
            names => Matched::Protocols(
                names
                    .split(',')
                    .map(name)
                    .collect::<Result<_, _>>()
                    .map_err(|error| wrong("names no protocol to offer").with(error))?,
            ),
        };
        let answer = match answer {
            "none" => Answer::None,
            "close" => Answer::Close,
            "alert" => Answer::Alert(None),
            other => match other.strip_prefix("alert:") {
                Some(number) => {
                    let number = number.trim().parse();
                    Answer::Alert(Some(number.map_err(|error| {
                        wrong("names an alert by no number from 0 to 255").with(error)
                    })?))
                }
                None => Answer::Protocol(
                    name(other).map_err(|error| wrong("names no answer").with(error))?,
                ),
            },
        };
        Ok(Self {
            offer,
            version,
            answer,
        })
    }
}

/// Protocols are shown with what is not ASCII text escaped, `\x1a\x1a`, and are read the same way.
fn unescaped(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let byte = behind.get(..2).map(|digits| u8::from_str_radix(digits, 16));
        match byte {
            Some(Ok(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.extend_from_slice(b"\\x");
                rest = behind;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// As it is read: `h2=h2`, `http/1.1=alert:120`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offer() {
            Some(offer) => write!(f, "{offer}=")?,
            None => f.write_str("malformed=")?,
        }
        match &self.answer {
            Answer::Protocol(name) => name.fmt(f),
            Answer::None => f.write_str("none"),
            Answer::Alert(None) => f.write_str("alert"),
            Answer::Alert(Some(alert)) => write!(f, "alert:{alert}"),
            Answer::Close => f.write_str("close"),
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
