//! Server names in certificates and in SNI.

use std::borrow::Cow;

use crate::error::Error;

/// The longest name in DNS, characters (RFC 1035 section 2.3.4).
pub(super) const MAX_NAME: usize = 253;

/// A name in a certificate, in lower case and without a final dot.
///
/// `DnsName` of rustls-pki-types accepts the same labels, but a build with OpenSSL only must not
/// contain a crate of rustls, and it knows no wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum DnsName {
    Exact(String),
    /// Stands for `*.` and this name: matches one label before it (RFC 9525 section 6.3).
    Wildcard(String),
}

impl DnsName {
    /// Parses a host name in ASCII; its first label may be `*`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let name = normal(text);
        let (wildcard, host) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, &*name),
        };
        if !text.is_ascii() {
            return Err(Error::config(format!(
                "the server name {text:?} is not ASCII: use its form in DNS, xn--..."
            )));
        }
        if name.len() > MAX_NAME || !host.split('.').all(is_label) {
            return Err(Error::config(format!(
                "{text:?} is not a server name: use a host name, whose whole first label may be `*`"
            )));
        }
        Ok(match wildcard {
            true => Self::Wildcard(host.to_owned()),
            false => Self::Exact(host.to_owned()),
        })
    }
}

/// Whether this is a host name in ASCII (RFC 1123 section 2.1), or one with `_`, which some servers have.
pub(super) fn is_host_name(text: &str) -> bool {
    let name = normal(text);
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=63).contains(&label.len()) && label.chars().all(allowed)
}

/// The form in which names are compared: lower case (RFC 4343), without a final dot.
pub(super) fn normal(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

impl std::fmt::Display for DnsName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(rest) => write!(f, "*.{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_and_wildcards_are_parsed() {
        for (text, shown) in [
            ("a.test", "a.test"),
            ("WWW.Example.ORG.", "www.example.org"),
            ("*.a.test", "*.a.test"),
            ("xn--bcher-kva.test", "xn--bcher-kva.test"),
            ("_service.a.test", "_service.a.test"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(DnsName::parse(text).expect(text).to_string(), shown);
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = vec!["a".repeat(63); 4].join(".");
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a..test",
            "w*.a.test",
            "a.*.test",
            "*.*.test",
            "a b.test",
            "a.test/",
            "b\u{fc}cher.test",
            &"a".repeat(64),
            &long,
        ] {
            assert!(DnsName::parse(text).is_err(), "{text:?}");
        }
    }
}
