//! The TLS parameters that a client offers, and those that must be negotiated.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A group of servers that are compared with each other: those with the same TLS version.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Group {
    #[serde(rename = "TLS 1.3")]
    Tls13,
    #[serde(rename = "TLS 1.2")]
    Tls12,
}

impl Group {
    pub const ALL: [Self; 2] = [Self::Tls13, Self::Tls12];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tls13 => "TLS 1.3",
            Self::Tls12 => "TLS 1.2",
        })
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum KeyType {
    P256,
    Rsa2048,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum KeyExchange {
    X25519,
    /// For nghttpd, which supports no other.
    P256,
}

impl KeyExchange {
    pub fn name(self) -> &'static str {
        match self {
            Self::X25519 => "X25519",
            Self::P256 => "P-256",
        }
    }
}

/// The protocol that the client offers by ALPN.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Http {
    Http1,
    Http2,
}

impl Http {
    pub fn alpn(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

/// The client offers one protocol, one version, one cipher suite and a preferred key exchange, so that the server has
/// almost no choice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Terms {
    pub group: Group,
    pub key_type: KeyType,
    pub key_exchange: KeyExchange,
    pub http: Http,
}

/// The negotiated parameters, by OpenSSL's names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Negotiated {
    pub version: String,
    pub cipher: String,
    pub key_exchange: String,
    pub alpn: String,
}

impl Terms {
    pub fn cipher(&self) -> &'static str {
        self.cipher_under(self.group)
    }

    /// AES-128-GCM under both versions: all servers support it, and their own preferences differ.
    pub fn cipher_under(&self, version: Group) -> &'static str {
        match (version, self.key_type) {
            (Group::Tls13, _) => "TLS_AES_128_GCM_SHA256",
            (Group::Tls12, KeyType::P256) => "ECDHE-ECDSA-AES128-GCM-SHA256",
            (Group::Tls12, KeyType::Rsa2048) => "ECDHE-RSA-AES128-GCM-SHA256",
        }
    }

    pub fn version(&self) -> &'static str {
        match self.group {
            Group::Tls13 => "TLSv1.3",
            Group::Tls12 => "TLSv1.2",
        }
    }

    /// The key exchange that the server must choose.
    pub fn key_exchange(&self) -> &'static str {
        self.key_exchange.name()
    }

    /// The supported groups that the client offers, in order of preference. Under TLS 1.2 the list must
    /// contain P-256, since it covers the certificate's key too.
    pub fn groups(&self) -> &'static [KeyExchange] {
        match self.key_exchange {
            KeyExchange::X25519 => &[KeyExchange::X25519, KeyExchange::P256],
            KeyExchange::P256 => &[KeyExchange::P256],
        }
    }

    /// # Errors
    ///
    /// If the server negotiated anything else.
    pub fn verify(&self, negotiated: &Negotiated) -> anyhow::Result<()> {
        let wanted = Negotiated {
            version: self.version().into(),
            cipher: self.cipher().into(),
            key_exchange: self.key_exchange().into(),
            alpn: self.http.alpn().into(),
        };
        anyhow::ensure!(
            *negotiated == wanted,
            "the server negotiated {negotiated} instead of {wanted}"
        );
        Ok(())
    }
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            cipher,
            key_exchange,
            alpn,
        } = self;
        write!(f, "{version} {cipher} {key_exchange} {alpn}")
    }
}
