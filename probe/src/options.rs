//! How a server is asked.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Client, Offer};
use crate::error::Error;

/// How long one connection may take, from the SYN to the answer of the GET, if nothing else is
/// asked for. Handshake and GET are three to five round trips; with the slowest of links and a
/// server under load that is one or two seconds, and whoever waits in CI for a server that never
/// answers waits no longer than this, once.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// What to ask a server, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeOptions {
    /// What to offer, in this order. Default [`Offer::defaults`].
    pub offers: Vec<Offer>,
    /// Who offers. Default [`Client::compiled_in`].
    pub clients: Vec<Client>,
    /// How long each connection may take. Default [`TIMEOUT`].
    pub timeout: Duration,
    /// Which certificates are trusted. Default [`Trust::System`].
    pub trust: Trust,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            offers: Offer::defaults(),
            clients: Client::compiled_in(),
            timeout: TIMEOUT,
            trust: Trust::System,
        }
    }
}

/// Which certificates of servers are trusted. What is made by hand ([`Client::Raw`]) ends before
/// there is a certificate to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Those that the system trusts.
    #[default]
    System,
    /// These, PEM, and those that they vouch for; none of the system's.
    Pem(Vec<u8>),
    /// Any. Nothing of worth is sent, and what is asked is how the server negotiates.
    Any,
}

/// The server that is asked.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) addr: SocketAddr,
    pub(super) name: ServerName,
    pub(super) timeout: Duration,
}

/// By which name: DNS, which goes into SNI, or an address, which does not (RFC 6066 section 3).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerName {
    Dns(String),
    Ip(IpAddr),
}

impl ServerName {
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
            return Ok(Self::Ip(ip));
        }
        // The root's dot is none of SNI's (RFC 6066 section 3).
        let name = name.strip_suffix('.').unwrap_or(name);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(Error::config(format!(
                "{name:?} is no name of a server: a DNS name (in ASCII, as in the certificate: \
                 xn--..., without a port) or an IP address is wanted"
            )));
        }
        Ok(Self::Dns(name.to_owned()))
    }

    /// As TLS libraries take it: an IPv6 address without brackets.
    pub(super) fn host(&self) -> String {
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
    fn names_of_servers() {
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
