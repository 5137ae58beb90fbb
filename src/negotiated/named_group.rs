//! Key exchange groups, by their numbers and names in the IANA registry.

use std::{fmt, str::FromStr};

use crate::error::Error;

/// A key exchange group (RFC 8446 section 4.2.7), by its number in the IANA registry of TLS supported
/// groups. Displayed by its name there, and parsed from it or from NIST's: `secp256r1` or `P-256`, in
/// upper or lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamedGroup(pub u16);

/// A number, the name in the IANA registry, and the one of NIST.
type Entry = (u16, &'static str, Option<&'static str>);

/// Those of RFC 8446, RFC 7027, RFC 8734, RFC 7919 and of the drafts for ML-KEM.
const GROUPS: [Entry; 22] = [
    (0x11ec, "X25519MLKEM768", None),
    (0x001d, "x25519", None),
    (0x0017, "secp256r1", Some("P-256")),
    (0x0018, "secp384r1", Some("P-384")),
    (0x0019, "secp521r1", Some("P-521")),
    (0x001e, "x448", None),
    (0x11eb, "SecP256r1MLKEM768", None),
    (0x11ed, "SecP384r1MLKEM1024", None),
    (0x0200, "MLKEM512", None),
    (0x0201, "MLKEM768", None),
    (0x0202, "MLKEM1024", None),
    (0x001a, "brainpoolP256r1", None),
    (0x001b, "brainpoolP384r1", None),
    (0x001c, "brainpoolP512r1", None),
    (0x001f, "brainpoolP256r1tls13", None),
    (0x0020, "brainpoolP384r1tls13", None),
    (0x0021, "brainpoolP512r1tls13", None),
    (0x0100, "ffdhe2048", None),
    (0x0101, "ffdhe3072", None),
    (0x0102, "ffdhe4096", None),
    (0x0103, "ffdhe6144", None),
    (0x0104, "ffdhe8192", None),
];

impl NamedGroup {
    /// secp256r1, also called P-256.
    pub const SECP256R1: Self = Self(0x0017);
    /// secp384r1, also called P-384.
    pub const SECP384R1: Self = Self(0x0018);
    /// X25519, RFC 7748.
    pub const X25519: Self = Self(0x001d);
    /// X25519 with ML-KEM-768, secure against quantum computers.
    pub const X25519MLKEM768: Self = Self(0x11ec);

    /// The name in the IANA registry.
    pub fn name(self) -> Option<&'static str> {
        let mut groups = GROUPS.iter();
        let found = groups.find(|(number, ..)| *number == self.0);
        found.map(|(_, name, _)| *name)
    }

    /// Those that have a name.
    pub(crate) fn named() -> impl Iterator<Item = Self> {
        GROUPS.iter().map(|(number, ..)| Self(*number))
    }
}

/// By the name in the IANA registry, or by that of NIST.
///
/// # Errors
///
/// [`Error::is_config`] if there is none of this name, with those that there are.
impl FromStr for NamedGroup {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let mut groups = GROUPS.iter();
        let found = groups.find(|(_, its, alias)| {
            its.eq_ignore_ascii_case(name) || alias.is_some_and(|it| it.eq_ignore_ascii_case(name))
        });
        found.map(|(number, ..)| Self(*number)).ok_or_else(|| {
            let names: Vec<_> = Self::named().filter_map(Self::name).collect();
            Error::config(format!(
                "unknown key exchange group {name:?}: give a name of the IANA registry: {}",
                names.join(", ")
            ))
        })
    }
}

impl fmt::Display for NamedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "group {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for NamedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_iana_and_of_nist() {
        for (name, group) in [
            ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
            ("x25519mlkem768", NamedGroup::X25519MLKEM768),
            ("X25519", NamedGroup::X25519),
            ("secp256r1", NamedGroup::SECP256R1),
            ("P-256", NamedGroup::SECP256R1),
            ("p-384", NamedGroup::SECP384R1),
            ("ffdhe2048", NamedGroup(0x0100)),
        ] {
            assert_eq!(name.parse::<NamedGroup>().expect(name), group);
        }
        assert_eq!(NamedGroup::SECP256R1.to_string(), "secp256r1");
        assert_eq!(NamedGroup(0x11ec).to_string(), "X25519MLKEM768");
        assert_eq!(NamedGroup(0x0a0a).to_string(), "group 0x0a0a");
    }

    #[test]
    fn unknown_name_is_an_error_with_the_known_ones() {
        let error = "curve25519"
            .parse::<NamedGroup>()
            .expect_err("no such name");
        assert!(error.is_config());
        let text = error.to_string();
        for (_, name, _) in &GROUPS {
            assert!(text.contains(name), "{text}");
        }
        assert!(text.contains("unknown key exchange group \"curve25519\""));
    }
}
