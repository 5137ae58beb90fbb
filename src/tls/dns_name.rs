//! Names of servers, as certificates have them and as clients ask for them.

use std::borrow::Cow;

use crate::error::Error;

/// The longest name in DNS, characters (RFC 1035 section 2.3.4).
pub(super) const MAX_NAME: usize = 253;

/// The name that a certificate is for, in lower case and without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum DnsName {
    Exact(String),
    /// `*.` and this: any one label before it (RFC 9525 section 6.3).
    Wildcard(String),
}

impl DnsName {
    /// A host name in ASCII, or one whose first label is `*` alone.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let name = normal(text);
        let (wildcard, host) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, &*name),
        };
        if !text.is_ascii() {
            return Err(Error::config(format!(
                "{text:?} is not ASCII: give the form that is in DNS, xn--..."
            )));
        }
        let label = |label: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=63).contains(&label.len()) && label.chars().all(allowed)
        };
        if name.len() > MAX_NAME || !host.split('.').all(label) {
            return Err(Error::config(format!(
                "{text:?} is no name of a server: wanted is a host name, or one with `*` as its \
                 whole first label"
            )));
        }
        Ok(match wildcard {
            true => Self::Wildcard(host.to_owned()),
            false => Self::Exact(host.to_owned()),
        })
    }
}

/// As names are compared: in lower case (RFC 4343), without the dot of the root.
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
    fn host_names_and_whole_wildcards_are_names() {
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
    fn others_are_none() {
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
