//! Rules as they are written: read, shown so that they are read as the same, and refused with the
//! nearest form that is right.

use std::{fmt, str::FromStr};

use super::{
    Malformed, Offer, alerts,
    expectation::{Answer, Expectation, Matched},
};
use crate::{alpn::ProtocolName, error::Error, negotiated::TlsVersion};

impl FromStr for Expectation {
    type Err = Error;

    fn from_str(rule: &str) -> Result<Self, Error> {
        read(rule).map_err(|what| {
            Error::config(format!(
                "the rule {rule:?} {what}: a rule is OFFER=ANSWER, or a protocol that is to be \
                 chosen when offered alone. OFFER is protocols (h2,http/1.1), none or malformed, \
                 ANSWER a protocol of the offer, none, alert, alert:NUMBER or close"
            ))
        })
    }
}

fn read(rule: &str) -> Result<Expectation, String> {
    let (text, answer) = match rule.split_once('=') {
        Some((offer, answer)) => (offer.trim(), Some(answer.trim())),
        None => (rule.trim(), None),
    };
    let (text, version) = limited(text)?;
    let offer = offered(text)?;
    if version.is_some() && matches!(offer, Matched::Malformed(_)) {
        return Err("limits the version: malformed takes none".into());
    }
    let answer = match (answer, &offer) {
        (Some(answer), offer) => answered(answer, offer)?,
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

/// The offer without its version, and that.
fn limited(text: &str) -> Result<(&str, Option<TlsVersion>), String> {
    let Some((offer, version)) = text.strip_suffix(')').and_then(|it| it.rsplit_once('(')) else {
        return Ok((text, None));
    };
    let plain: String = version.split_whitespace().collect();
    let version = match &*plain.to_ascii_lowercase() {
        "tls1.2" => TlsVersion::TLS_1_2,
        "tls1.3" => TlsVersion::TLS_1_3,
        _ => {
            return Err(format!(
                "names no version by ({version}): (TLS 1.2) or (TLS 1.3)"
            ));
        }
    };
    Ok((offer.trim_end(), Some(version)))
}

fn offered(text: &str) -> Result<Matched, String> {
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
            None => Err("names nothing that is offered malformed".into()),
        };
    }
    let names = text.split(',').map(name).collect::<Result<Vec<_>, _>>()?;
    Ok(Matched::Protocols(names))
}

fn name(text: &str) -> Result<ProtocolName, String> {
    let text = text.trim();
    if text.contains([' ', '(', ')', '=']) {
        return Err(format!(
            "has a space or a bracket in the name {text:?}, which is written \\xNN"
        ));
    }
    if let Some(known) = known_but_for_case(text) {
        return Err(format!(
            "names {text}: names of protocols are case-sensitive, did you mean {known}?"
        ));
    }
    ProtocolName::new(unescaped(text)).map_err(|_| "has a name of no bytes or too many".to_owned())
}

fn known_but_for_case(text: &str) -> Option<&'static str> {
    let known = ["h2", "h2c", "h3", "http/1.0", "http/1.1", "spdy/3"];
    let known = known.into_iter().find(|it| it.eq_ignore_ascii_case(text))?;
    (known != text).then_some(known)
}

fn answered(text: &str, offer: &Matched) -> Result<Answer, String> {
    match text {
        "none" => return Ok(Answer::None),
        "close" => return Ok(Answer::Close),
        "alert" => return Ok(Answer::Alert(None)),
        _ => {}
    }
    if let Some(which) = text.strip_prefix("alert:") {
        return match alert(which.trim()) {
            Some(alert) => Ok(Answer::Alert(Some(alert))),
            None => Err("names an alert by no number from 0 to 255 and by no name".into()),
        };
    }
    let name = match name(text) {
        Ok(name) => name,
        Err(_) if meant(text).is_some() => return Err(no_answer(text)),
        Err(why) => return Err(why),
    };
    let possible = match offer {
        Matched::Protocols(names) => names.contains(&name),
        // Served all the same.
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
        Some(meant) => format!("names no answer by {text}, did you mean {meant}?"),
        None => format!("names no answer by {text}"),
    }
}

/// What is written by who does not know the words by heart.
fn meant(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    Some(match &*lower {
        "closed" | "reset" => "close".into(),
        "any" | "reject" | "rejected" | "refuse" | "refused" | "deny" | "fail" | "error" => {
            "alert".into()
        }
        "no-alpn" | "noalpn" | "null" => "none".into(),
        text if text.starts_with('=') => text.trim_start_matches('=').to_owned(),
        text => match alert(
            text.trim_start_matches("alert")
                .trim_start_matches(['=', '-', ' ']),
        ) {
            Some(number) => format!("alert:{number}"),
            None => return None,
        },
    })
}

/// By number or by name.
fn alert(text: &str) -> Option<u8> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    (0..=u8::MAX).find(|number| alerts::alert_name(*number) == Some(text))
}

/// What [`Shown`] escapes.
fn unescaped(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let digits = behind
            .get(..2)
            .filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
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

/// The name of a protocol as offers and rules show it: what means something else in them, and what
/// is not printable ASCII, is escaped.
pub(super) struct Shown<'a>(pub(super) &'a ProtocolName);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_bytes();
        let text = std::str::from_utf8(name).unwrap_or_default();
        let a_word = matches!(text, "none" | "close" | "alert")
            || text.starts_with("malformed")
            || text.starts_with("alert:")
            || known_but_for_case(text).is_some();
        for (index, &byte) in name.iter().enumerate() {
            let plain = byte.is_ascii_graphic() && !b"\\,=()".contains(&byte);
            match plain && !(a_word && index == 0) {
                true => write!(f, "{}", char::from(byte))?,
                false => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// As it is read: `h2=h2`, `http/1.1=alert:120`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offer() {
            Some(offer) => write!(f, "{offer}=")?,
            None => f.write_str("malformed=")?,
        }
        match &self.answer {
            Answer::Protocol(name) => write!(f, "{}", Shown(name)),
            Answer::None => f.write_str("none"),
            Answer::Alert(None) => f.write_str("alert"),
            Answer::Alert(Some(alert)) => write!(f, "alert:{alert}"),
            Answer::Close => f.write_str("close"),
        }
    }
}

/// `h2,http/1.1`, `none`, `h2 (TLS 1.2)`, `malformed: empty list`.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_malformed(), self.protocols()) {
            (Some(malformed), _) => malformed.fmt(f)?,
            (None, []) => f.write_str("none")?,
            (None, protocols) => {
                for (i, name) in protocols.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { "," } else { "" }, Shown(name))?;
                }
            }
        }
        match self.version() {
            Some(version) => write!(f, " ({version})"),
            None => Ok(()),
        }
    }
}
