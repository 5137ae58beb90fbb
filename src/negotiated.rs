//! The result of a TLS handshake, in the same terms for every backend.

use std::fmt;

use http::Extensions;

use crate::alpn::ProtocolName;

/// A version of TLS, by its number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// TLS 1.2, RFC 5246.
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3, RFC 8446.
    pub const TLS_1_3: Self = Self(0x0304);
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // corelane does not speak these two; servers that the prober tests may.
            Self(0x0301) => f.write_str("TLS 1.0"),
            Self(0x0302) => f.write_str("TLS 1.1"),
            Self::TLS_1_2 => f.write_str("TLS 1.2"),
            Self::TLS_1_3 => f.write_str("TLS 1.3"),
            Self(other) => write!(f, "TLS version {other:#06x}"),
        }
    }
}

impl fmt::Debug for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A cipher suite, by its number in the IANA registry. Displayed by its name there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// The name in the IANA registry, for example `TLS_AES_128_GCM_SHA256`.
    pub fn name(self) -> Option<&'static str> {
        tls_parser::TlsCipherSuite::from_id(self.0).map(|suite| suite.name)
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "cipher suite {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key exchange group (RFC 8446 section 4.2.7), by its number in the IANA registry of TLS supported
/// groups. Displayed by its name there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamedGroup(pub u16);

impl NamedGroup {
    /// secp256r1, also called P-256.
    pub const SECP256R1: Self = Self(0x0017);
    /// secp384r1, also called P-384.
    pub const SECP384R1: Self = Self(0x0018);
    /// X25519, RFC 7748.
    pub const X25519: Self = Self(0x001d);
    /// X25519 with ML-KEM-768, secure against quantum computers.
    pub const X25519MLKEM768: Self = Self(0x11ec);
}

impl fmt::Display for NamedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SECP256R1 => f.write_str("secp256r1"),
            Self::SECP384R1 => f.write_str("secp384r1"),
            Self::X25519 => f.write_str("x25519"),
            Self::X25519MLKEM768 => f.write_str("X25519MLKEM768"),
            Self(other) => write!(f, "group {other:#06x}"),
        }
    }
}

impl fmt::Debug for NamedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The result of a TLS handshake. A field is `None` if the peer did not send it, if there is no TLS,
/// or if the backend does not report it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Negotiated {
    /// The application protocol chosen by ALPN (RFC 7301).
    pub alpn_protocol: Option<ProtocolName>,
    /// The version of TLS.
    pub tls_version: Option<TlsVersion>,
    /// The cipher suite.
    pub cipher_suite: Option<CipherSuite>,
    /// The group of the key exchange. `None` also if a TLS 1.2 session resumed, which has none.
    /// `features.md` lists the backends that do not report it.
    pub key_exchange_group: Option<NamedGroup>,
    /// The server name that the client sent by SNI (RFC 6066 section 3).
    pub server_name: Option<String>,
    /// Whether the handshake resumed an earlier session (RFC 8446 section 2.2, RFC 5246 section 7.3).
    pub resumed: Option<bool>,
    /// The client's certificate chain, DER, its own certificate first. Empty if it sent none or the
    /// server did not ask ([`TlsConfig::client_auth`](crate::tls::TlsConfig#structfield.client_auth)).
    /// A resumed session has the chain of its full handshake.
    pub peer_certificates: Vec<Vec<u8>>,
    /// The subject of the client's own certificate, by RFC 4514, for example `CN=client 1,O=Example`. At
    /// most 256 characters, then `...`; without control characters. `None` if it sent none.
    pub peer_subject: Option<String>,
    /// Values that the backend has for handlers beyond these fields, by type. The backends of this crate
    /// have none.
    pub extensions: Extensions,
}

impl Negotiated {
    /// The client's own certificate, DER.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.peer_certificates.first().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_iana() {
        for (id, name) in [
            (0x1301, "TLS_AES_128_GCM_SHA256"),
            (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
            (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ] {
            assert_eq!(CipherSuite(id).to_string(), name);
        }
        assert_eq!(CipherSuite(0xfefe).to_string(), "cipher suite 0xfefe");
        assert_eq!(TlsVersion::TLS_1_3.to_string(), "TLS 1.3");
        assert_eq!(NamedGroup(0x11ec).to_string(), "X25519MLKEM768");
        assert_eq!(NamedGroup(0x001e).to_string(), "group 0x001e");
    }
}
