//! The name by which the prober asks for a server.

use std::net::IpAddr;

use super::error::Error;

/// A DNS name, which goes into SNI, or an address, which does not (RFC 6066 section 3).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServerName {
    Dns(String),
    Ip(IpAddr),
}

impl ServerName {
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
            return Ok(Self::Ip(ip));
        }
        // SNI has no trailing dot (RFC 6066 section 3).
        let name = name.strip_suffix('.').unwrap_or(name);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(Error::config(format!(
                "{name:?} is not a server name: give a DNS name (in ASCII, as in the certificate: \
                 xn--..., without a port) or an IP address"
            )));
        }
        Ok(Self::Dns(name.to_owned()))
    }

    /// The name as TLS libraries take it: an IPv6 address has no brackets.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Dns(name) => name.clone(),
            Self::Ip(ip) => ip.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dns_names_and_addresses_only() {
        for (name, host) in [
            ("example.org", "example.org"),
            ("a_b-c.example", "a_b-c.example"),
            ("example.org.", "example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(ServerName::new(name).expect("a name").host(), host);
        }
        for name in [
            "",
            ".",
            "a..b",
            "a..",
            "a b",
            "example.org:443",
            "ü.example",
            "a/b",
        ] {
            let error = ServerName::new(name).expect_err(name);
            assert!(error.is_config());
        }
        assert!(ServerName::new(&"a.".repeat(200)).is_err());
    }
}
