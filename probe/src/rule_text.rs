//! Parses and displays rules. A displayed rule parses as the same rule. The error for an invalid
//! rule suggests the nearest valid one.

use std::{fmt, str::FromStr};

use corelane::{ProtocolName, tls::TlsVersion};

use super::{
    alerts,
    error::Error,
    expectation::{Answer, Expectation, Matched},
    name_text::{EscapedName, known_but_for_case, unescaped},
    offer::Malformed,
};

impl FromStr for Expectation {
    type Err = Error;

    fn from_str(rule: &str) -> Result<Self, Error> {
        parse(rule).map_err(|what| {
            Error::config(format!(
                "the rule {rule:?} {what}: a rule is OFFER=ANSWER, or a protocol that the server has \
                 to choose when it is offered alone. OFFER is protocols (h2,http/1.1), none or malformed, \
                 ANSWER a protocol of the offer, none, alert, alert:NUMBER or close"
            ))
        })
    }
}

fn parse(rule: &str) -> Result<Expectation, String> {
    let (text, answer) = match rule.split_once('=') {
        Some((offer, answer)) => (offer.trim(), Some(answer.trim())),
        None => (rule.trim(), None),
    };
    let (text, version) = split_version(text)?;
    let offer = parse_offer(text)?;
    if version.is_some() && matches!(offer, Matched::Malformed(_)) {
        return Err("limits the version: malformed takes none".into());
    }
    let answer = match (answer, &offer) {
        (Some(answer), offer) => parse_answer(answer, offer)?,
        (None, Matched::Protocols(names)) => match &names[..] {
            [name] => Answer::Protocol(name.clone()),
            _ => return Err("has no answer".into()),
        },
        (None, _) => return Err("has no answer".into()),
    };
    Ok(Expectation {
        offer,
        version,
        answer,
    })
}

/// The offer without its version, and the version.
fn split_version(text: &str) -> Result<(&str, Option<TlsVersion>), String> {
    let Some((offer, version)) = text.strip_suffix(')').and_then(|it| it.rsplit_once('(')) else {
        return Ok((text, None));
    };
    let plain: String = version.split_whitespace().collect();
    let version = match &*plain.to_ascii_lowercase() {
        "tls1.0" => TlsVersion(0x0301),
        "tls1.1" => TlsVersion(0x0302),
        "tls1.2" => TlsVersion::TLS_1_2,
        "tls1.3" => TlsVersion::TLS_1_3,
        _ => {
            return Err(format!(
                "has the unknown version ({version}): use (TLS 1.0), (TLS 1.1), (TLS 1.2) or (TLS 1.3)"
            ));
        }
    };
    Ok((offer.trim_end(), Some(version)))
}

fn parse_offer(text: &str) -> Result<Matched, String> {
    if text == "none" {
        return Ok(Matched::None);
    }
    if let Some(which) = text.strip_prefix("malformed") {
        if which.is_empty() {
            return Ok(Matched::Malformed(None));
        }
        let known = Malformed::ALL.into_iter().find(|it| it.to_string() == text);
        return match known {
            Some(known) => Ok(Matched::Malformed(Some(known))),
            None => Err("has an unknown malformed offer".into()),
        };
    }
    let names = text
        .split(',')
        .map(parse_name)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Matched::Protocols(names))
}

fn parse_name(text: &str) -> Result<ProtocolName, String> {
    let text = text.trim();
    if text.contains([' ', '(', ')', '=']) {
        return Err(format!(
            "has a space or a bracket in the name {text:?}: write it as \\xNN"
        ));
    }
    if let Some(known) = known_but_for_case(text) {
        return Err(format!(
            "names {text}: names of protocols are case-sensitive, did you mean {known}?"
        ));
    }
    ProtocolName::new(unescaped(text))
        .map_err(|_| "has a protocol name that is empty or too long".to_owned())
}

fn parse_answer(text: &str, offer: &Matched) -> Result<Answer, String> {
    match text {
        "none" => return Ok(Answer::None),
        "close" => return Ok(Answer::Close),
        "alert" => return Ok(Answer::Alert(None)),
        _ => {}
    }
    if let Some(which) = text.strip_prefix("alert:") {
        return match parse_alert(which.trim()) {
            Some(alert) => Ok(Answer::Alert(Some(alert))),
            None => Err("has an alert that is neither a number from 0 to 255 nor a name".into()),
        };
    }
    let name = match parse_name(text) {
        Ok(name) => name,
        Err(_) if meant(text).is_some() => return Err(no_answer(text)),
        Err(why) => return Err(why),
    };
    let possible = match offer {
        Matched::Protocols(names) => names.contains(&name),
        // HTTP/2 with prior knowledge.
        Matched::None => name == ProtocolName::H2,
        Matched::Malformed(_) => false,
    };
    match possible {
        true => Ok(Answer::Protocol(name)),
        false if meant(text).is_some() => Err(no_answer(text)),
        false => Err(format!(
            "wants {text}: the server may only choose what was offered"
        )),
    }
}

fn no_answer(text: &str) -> String {
    match meant(text) {
        Some(meant) => format!("has the unknown answer {text}, did you mean {meant}?"),
        None => format!("has the unknown answer {text}"),
    }
}

/// The answer that a wrong word most likely means.
fn meant(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    Some(match &*lower {
        "closed" | "reset" => "close".into(),
        "any" | "reject" | "rejected" | "refuse" | "refused" | "deny" | "fail" | "error" => {
            "alert".into()
        }
        "no-alpn" | "noalpn" | "null" => "none".into(),
        text if text.starts_with('=') => text.trim_start_matches('=').to_owned(),
        text => match parse_alert(
            text.trim_start_matches("alert")
                .trim_start_matches(['=', '-', ' ']),
        ) {
            Some(number) => format!("alert:{number}"),
            None => return None,
        },
    })
}

/// An alert by number or by name.
fn parse_alert(text: &str) -> Option<u8> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    (0..=u8::MAX).find(|number| alerts::alert_name(*number) == Some(text))
}

/// As it is parsed: `h2=h2`, `http/1.1=alert:120`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offer() {
            Some(offer) => write!(f, "{offer}=")?,
            None => f.write_str("malformed=")?,
        }
        match &self.answer {
            Answer::Protocol(name) => write!(f, "{}", EscapedName(name)),
            Answer::None => f.write_str("none"),
            Answer::Alert(None) => f.write_str("alert"),
            Answer::Alert(Some(alert)) => write!(f, "alert:{alert}"),
            Answer::Close => f.write_str("close"),
        }
    }
}
