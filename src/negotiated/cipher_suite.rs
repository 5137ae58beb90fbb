//! Cipher suites, by their numbers and names in the IANA registry.

use std::{fmt, str::FromStr};

use tls_parser::{TlsCipherAu, TlsCipherEnc, TlsCipherKx, TlsCipherMac, TlsCipherSuite};

use crate::error::Error;

/// A cipher suite, by its number in the IANA registry. Displayed by its name there, and parsed from it:
/// `TLS_AES_128_GCM_SHA256`, in upper or lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub u16);

/// What a server of HTTP/2 can do with a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuiteUse {
    /// Use it in TLS 1.3, with any key.
    Tls13,
    /// Use it in TLS 1.2, with a key of ECDSA or EdDSA.
    Tls12Ecdsa,
    /// Use it in TLS 1.2, with an RSA key.
    Tls12Rsa,
    /// Nothing: RFC 9113 section 9.2.2 forbids suites without an ephemeral key exchange and AEAD.
    Forbidden,
    /// Nothing: it needs Diffie-Hellman parameters or a key that is shared beforehand.
    NotByEcdhe,
    /// It is not in the registry.
    Unknown,
}

impl CipherSuite {
    /// The name in the IANA registry, for example `TLS_AES_128_GCM_SHA256`.
    pub fn name(self) -> Option<&'static str> {
        TlsCipherSuite::from_id(self.0).map(|suite| suite.name)
    }

    pub(crate) fn usable(self) -> SuiteUse {
        let Some(suite) = TlsCipherSuite::from_id(self.0) else {
            return SuiteUse::Unknown;
        };
        let aead = suite.mac == TlsCipherMac::Aead;
        match (suite.kx, suite.au) {
            // Those without encryption are of RFC 9150.
            (TlsCipherKx::Tls13, _) if suite.enc != TlsCipherEnc::Null => SuiteUse::Tls13,
            (TlsCipherKx::Ecdhe, TlsCipherAu::Ecdsa) if aead => SuiteUse::Tls12Ecdsa,
            (TlsCipherKx::Ecdhe, TlsCipherAu::Rsa) if aead => SuiteUse::Tls12Rsa,
            (TlsCipherKx::Ecdhe | TlsCipherKx::Dhe | TlsCipherKx::Eccpwd, _)
            | (TlsCipherKx::Psk, TlsCipherAu::Dhe)
                if aead =>
            {
                SuiteUse::NotByEcdhe
            }
            _ => SuiteUse::Forbidden,
        }
    }

    /// Whether a server of HTTP/2 can use it.
    pub(crate) fn is_allowed(self) -> bool {
        let usable = self.usable();
        matches!(
            usable,
            SuiteUse::Tls13 | SuiteUse::Tls12Ecdsa | SuiteUse::Tls12Rsa
        )
    }

    /// Those of them that common libraries have.
    fn common() -> impl Iterator<Item = Self> {
        let is_common = |suite: &Self| {
            let cipher = TlsCipherSuite::from_id(suite.0).map(|it| it.enc);
            matches!(
                cipher,
                Some(TlsCipherEnc::Aes | TlsCipherEnc::Aria | TlsCipherEnc::Chacha20_Poly1305)
            )
        };
        let all = (0..=u16::MAX).map(Self);
        all.filter(move |suite| suite.is_allowed() && is_common(suite))
    }
}

/// By the name in the IANA registry.
///
/// # Errors
///
/// [`Error::is_config`] if there is none of this name, with the names of those that HTTP/2 allows.
impl FromStr for CipherSuite {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let suite = TlsCipherSuite::from_name(&name.to_ascii_uppercase());
        suite.map(|suite| Self(suite.id.0)).ok_or_else(|| {
            let names: Vec<_> = Self::common().filter_map(Self::name).collect();
            Error::config(format!(
                "unknown cipher suite {name:?}: give a name of the IANA registry: {}",
                names.join(", ")
            ))
        })
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
            assert_eq!(name.parse::<CipherSuite>().expect(name).0, id);
            let lower = name.to_ascii_lowercase();
            assert_eq!(lower.parse::<CipherSuite>().expect(name).0, id);
        }
        assert_eq!(CipherSuite(0xfefe).to_string(), "cipher suite 0xfefe");
    }

    #[test]
    fn unknown_name_is_an_error_with_the_known_ones() {
        let error = "ECDHE-RSA-AES128-GCM-SHA256".parse::<CipherSuite>();
        let error = error.expect_err("OpenSSL's name");
        assert!(error.is_config());
        let text = error.to_string();
        for name in [
            "unknown cipher suite \"ECDHE-RSA-AES128-GCM-SHA256\"",
            "TLS_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
        ] {
            assert!(text.contains(name), "{text}");
        }
        for forbidden in ["_CBC_", "TLS_RSA_WITH", "TLS_DHE", "PSK"] {
            assert!(!text.contains(forbidden), "{text}");
        }
    }

    #[test]
    fn http2_allows_ephemeral_key_exchange_with_aead_only() {
        for (name, usable) in [
            ("TLS_AES_128_CCM_8_SHA256", SuiteUse::Tls13),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", SuiteUse::Tls12Rsa),
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                SuiteUse::Tls12Ecdsa,
            ),
            ("TLS_RSA_WITH_AES_128_GCM_SHA256", SuiteUse::Forbidden),
            ("TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", SuiteUse::Forbidden),
            ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", SuiteUse::Forbidden),
            ("TLS_SHA256_SHA256", SuiteUse::Forbidden),
            ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", SuiteUse::NotByEcdhe),
            (
                "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256",
                SuiteUse::NotByEcdhe,
            ),
        ] {
            let suite: CipherSuite = name.parse().expect(name);
            assert_eq!(suite.usable(), usable, "{name}");
        }
        assert_eq!(CipherSuite(0xfefe).usable(), SuiteUse::Unknown);
    }
}
