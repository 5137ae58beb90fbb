//! Kinds of keys, and whether a client can verify their signatures.

use std::fmt;

use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};

use super::client_hello::ClientHello;
use crate::negotiated::{CipherSuite, TlsVersion};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Ed448,
    Rsa,
    /// An RSA key that signs with RSASSA-PSS only.
    RsaPss,
    EcdsaSecp256k1,
    /// ECDSA on any other named curve.
    EcdsaOther,
    /// ECDSA on a curve that is given by its parameters, not by its name.
    EcdsaExplicit,
    Dsa,
    /// Of any size (FIPS 204). TLS 1.3 only.
    MlDsa,
    /// Any other kind of key. It is not known which clients support it.
    Other,
}

/// The kind of a key, and its size where that is not part of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) kind: KeyKind,
    /// `None` unless it is an RSA key.
    pub(super) bits: Option<usize>,
}

impl From<KeyKind> for Key {
    fn from(kind: KeyKind) -> Self {
        Self { kind, bits: None }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match self.bits {
            Some(bits) => write!(f, " of {bits} bits"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA on P-256",
            Self::EcdsaP384 => "ECDSA on P-384",
            Self::EcdsaP521 => "ECDSA on P-521",
            Self::Ed25519 => "Ed25519",
            Self::Ed448 => "Ed448",
            Self::Rsa => "RSA",
            Self::RsaPss => "RSA-PSS",
            Self::EcdsaSecp256k1 => "ECDSA on secp256k1",
            Self::EcdsaOther => "ECDSA on an uncommon curve",
            Self::EcdsaExplicit => "ECDSA with explicit curve parameters",
            Self::Dsa => "DSA",
            Self::MlDsa => "ML-DSA",
            Self::Other => "of an unknown kind",
        })
    }
}

/// Families of keys, in order of preference. A name may have one certificate of each family. ECDSA
/// costs the server less than a tenth of RSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Ecdsa,
    EdDsa,
    Rsa,
    Other,
}

impl Family {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ECDSA",
            Self::EdDsa => "EdDSA",
            Self::Rsa => "RSA",
            Self::Other => "unknown",
        }
    }
}

/// Whether a client can verify the signatures of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyCompatibility {
    No,
    /// Under one of the two TLS versions that it offers only.
    OneVersion,
    Yes,
}

impl KeyKind {
    pub(super) fn is_rsa(self) -> bool {
        self.family() == Family::Rsa
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => Family::Ecdsa,
            Self::Ed25519 | Self::Ed448 => Family::EdDsa,
            Self::Rsa | Self::RsaPss => Family::Rsa,
            Self::EcdsaSecp256k1
            | Self::EcdsaOther
            | Self::EcdsaExplicit
            | Self::Dsa
            | Self::MlDsa
            | Self::Other => Family::Other,
        }
    }

    /// Whether the client can verify the signatures of this key. The backend selects the version of
    /// TLS later, so this judges all versions that the client offers. `server` are the cipher suites that
    /// the server has beside this key, if they are known.
    pub(super) fn compatibility(
        self,
        client: &ClientHello,
        server: Option<&[CipherSuite]>,
    ) -> KeyCompatibility {
        if self.family() == Family::Other {
            return KeyCompatibility::Yes;
        }
        let offered = &client.supported_versions;
        let tls_1_3 = offered.contains(&TlsVersion::TLS_1_3);
        let tls_1_2 = offered.is_empty() || offered.contains(&TlsVersion::TLS_1_2);
        match (
            !tls_1_3 || self.verifies_in_tls_1_3(client),
            !tls_1_2 || self.verifies_in_tls_1_2(client, server),
        ) {
            (true, true) => KeyCompatibility::Yes,
            (false, false) => KeyCompatibility::No,
            // Only one version is offered, and the key does not fit it.
            _ if tls_1_3 && tls_1_2 => KeyCompatibility::OneVersion,
            _ => KeyCompatibility::No,
        }
    }

    /// By RFC 8446 section 4.2.3.
    fn verifies_in_tls_1_3(self, client: &ClientHello) -> bool {
        let offered = &client.signature_algorithms;
        self.schemes().iter().any(|scheme| offered.contains(scheme))
    }

    /// By RFC 5246 section 7.4.1.4.1, RFC 8422 section 5.1 and RFC 8446 section 4.2.3.
    fn verifies_in_tls_1_2(self, client: &ClientHello, server: Option<&[CipherSuite]>) -> bool {
        /// rsa_pkcs1_sha256, rsa_pkcs1_sha384, rsa_pkcs1_sha512.
        const RSA_PKCS1: [u16; 3] = [0x0401, 0x0501, 0x0601];
        let offered = &client.signature_algorithms;
        let pkcs1 = self == Self::Rsa && RSA_PKCS1.iter().any(|scheme| offered.contains(scheme));
        let verifies = offered.is_empty() || pkcs1 || self.verifies_in_tls_1_3(client);
        let groups = &client.supported_groups;
        let knows_curve = match self.curve() {
            Some(curve) => groups.is_empty() || groups.contains(&curve),
            None => true,
        };
        verifies
            && knows_curve
            && client
                .cipher_suites
                .iter()
                .filter(|suite| server.is_none_or(|server| server.contains(suite)))
                .any(|&suite| self.signs_for(suite))
    }

    fn signs_for(self, CipherSuite(id): CipherSuite) -> bool {
        let Some(suite) = TlsCipherSuite::from_id(id) else {
            return false;
        };
        match self.family() {
            Family::Rsa => suite.au == TlsCipherAu::Rsa,
            _ => suite.au == TlsCipherAu::Ecdsa && suite.kx == TlsCipherKx::Ecdhe,
        }
    }

    /// The signature schemes of TLS 1.3. ECDSA has the same ones here under TLS 1.2: that version
    /// allows other pairs of curve and hash, but not every backend supports them.
    fn schemes(self) -> &'static [u16] {
        match self {
            Self::EcdsaP256 => &[0x0403],
            Self::EcdsaP384 => &[0x0503],
            Self::EcdsaP521 => &[0x0603],
            Self::Ed25519 => &[0x0807],
            Self::Ed448 => &[0x0808],
            Self::Rsa => &[0x0804, 0x0805, 0x0806],
            Self::RsaPss => &[0x0809, 0x080a, 0x080b],
            Self::EcdsaSecp256k1
            | Self::EcdsaOther
            | Self::EcdsaExplicit
            | Self::Dsa
            | Self::MlDsa
            | Self::Other => &[],
        }
    }

    /// The number of the curve of an ECDSA key in supported_groups.
    fn curve(self) -> Option<u16> {
        match self {
            Self::EcdsaP256 => Some(23),
            Self::EcdsaP384 => Some(24),
            Self::EcdsaP521 => Some(25),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AES_1_3: CipherSuite = CipherSuite(0x1301);
    const ECDSA: CipherSuite = CipherSuite(0xc02b);
    const CHACHA_ECDSA: CipherSuite = CipherSuite(0xcca9);
    const RSA: CipherSuite = CipherSuite(0xc02f);

    fn client(versions: &[TlsVersion], suites: &[CipherSuite], schemes: &[u16]) -> ClientHello {
        ClientHello {
            supported_versions: versions.to_vec(),
            cipher_suites: suites.to_vec(),
            signature_algorithms: schemes.to_vec(),
            ..ClientHello::default()
        }
    }

    #[test]
    fn a_key_is_compatible_with_clients_that_verify_it() {
        use KeyKind::{EcdsaP256, EcdsaP384, Ed25519, Other, Rsa, RsaPss};
        const BOTH: &[TlsVersion] = &[TlsVersion::TLS_1_3, TlsVersion::TLS_1_2];
        const ONLY_1_3: &[TlsVersion] = &[TlsVersion(0x7a7a), TlsVersion::TLS_1_3];
        const ONLY_1_2: &[TlsVersion] = &[];
        let all = &[AES_1_3, ECDSA, RSA][..];
        for (key, versions, suites, schemes, fit) in [
            (
                EcdsaP256,
                BOTH,
                all,
                &[0x0403, 0x0804][..],
                KeyCompatibility::Yes,
            ),
            (
                EcdsaP256,
                ONLY_1_3,
                &[AES_1_3],
                &[0x0403],
                KeyCompatibility::Yes,
            ),
            (
                EcdsaP256,
                ONLY_1_2,
                &[CHACHA_ECDSA],
                &[0x0403],
                KeyCompatibility::Yes,
            ),
            (
                EcdsaP384,
                BOTH,
                all,
                &[0x0403, 0x0804],
                KeyCompatibility::No,
            ),
            (
                EcdsaP256,
                BOTH,
                &[AES_1_3, RSA],
                &[0x0403],
                KeyCompatibility::OneVersion,
            ),
            (EcdsaP256, ONLY_1_2, &[RSA], &[0x0403], KeyCompatibility::No),
            (EcdsaP256, ONLY_1_2, all, &[0x0401], KeyCompatibility::No),
            (EcdsaP256, ONLY_1_2, all, &[], KeyCompatibility::Yes),
            (EcdsaP256, ONLY_1_3, all, &[], KeyCompatibility::No),
            (Rsa, BOTH, all, &[0x0401, 0x0804], KeyCompatibility::Yes),
            (Rsa, BOTH, all, &[0x0401], KeyCompatibility::OneVersion),
            (Rsa, ONLY_1_3, all, &[0x0401], KeyCompatibility::No),
            (Rsa, ONLY_1_2, all, &[0x0401], KeyCompatibility::Yes),
            (Rsa, ONLY_1_2, &[ECDSA], &[0x0401], KeyCompatibility::No),
            (RsaPss, BOTH, all, &[0x0804], KeyCompatibility::No),
            (RsaPss, BOTH, all, &[0x0809], KeyCompatibility::Yes),
            (Ed25519, BOTH, all, &[0x0807], KeyCompatibility::Yes),
            (Ed25519, BOTH, all, &[0x0403], KeyCompatibility::No),
            (Other, BOTH, all, &[], KeyCompatibility::Yes),
        ] {
            let hello = client(versions, suites, schemes);
            assert_eq!(key.compatibility(&hello, None), fit, "{key:?} {hello:?}");
        }
    }

    #[test]
    fn tls_1_2_clients_must_support_the_curve_of_the_key() {
        let mut hello = client(&[], &[ECDSA], &[0x0403]);
        hello.supported_groups = vec![29, 24];
        assert_eq!(
            KeyKind::EcdsaP256.compatibility(&hello, None),
            KeyCompatibility::No
        );
        hello.supported_groups.push(23);
        assert_eq!(
            KeyKind::EcdsaP256.compatibility(&hello, None),
            KeyCompatibility::Yes
        );
        // In TLS 1.3 the groups concern the key exchange only.
        let mut hello = client(&[TlsVersion::TLS_1_3], &[AES_1_3], &[0x0403]);
        hello.supported_groups = vec![29];
        assert_eq!(
            KeyKind::EcdsaP256.compatibility(&hello, None),
            KeyCompatibility::Yes
        );
    }

    #[test]
    fn tls_1_2_needs_a_suite_that_client_and_server_have() {
        use KeyCompatibility::{No, OneVersion, Yes};
        let both = &[TlsVersion::TLS_1_3, TlsVersion::TLS_1_2][..];
        for (versions, server, ecdsa, rsa) in [
            (&[][..], &[ECDSA, RSA][..], Yes, Yes),
            (&[], &[CHACHA_ECDSA, RSA], No, Yes),
            (both, &[AES_1_3, CHACHA_ECDSA, RSA], OneVersion, Yes),
            (&both[..1], &[AES_1_3], Yes, Yes),
        ] {
            let hello = client(versions, &[AES_1_3, ECDSA, RSA], &[0x0403, 0x0804]);
            for (key, fit) in [(KeyKind::EcdsaP256, ecdsa), (KeyKind::Rsa, rsa)] {
                let got = key.compatibility(&hello, Some(server));
                assert_eq!(got, fit, "{key:?} {server:?} {hello:?}");
            }
        }
    }
}
