//! What clients may refuse about a chain that every backend serves.

use std::time::{Duration, SystemTime};

use super::{
    certificate::Certificate,
    key_kind::{Key, KeyKind},
    ocsp::OcspResponse,
};

/// The smallest RSA key that clients accept in a chain, bits. Backends refuse a smaller one of the server.
const SMALLEST_RSA: usize = 2048;

/// One sentence for each fault, in the order of the chain, then one about the OCSP response. The end of the first certificate is not among
/// them: [`Identity::not_after`](super::Identity::not_after) tells it.
pub(super) fn of(
    chain: &[Certificate],
    response: Option<&OcspResponse>,
    now: SystemTime,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(leaf) = chain.first() else {
        return warnings;
    };
    if leaf.dns_names.is_empty() && !leaf.has_address {
        let version = match leaf.version {
            1 => " (it is X.509 version 1, which has no extensions)",
            _ => "",
        };
        warnings.push(format!(
            "the certificate has no host name and no address in subjectAltName{version}, so clients \
             refuse it: they ignore the common name (RFC 9525 section 2)"
        ));
    }
    if let Some(clients) = refused_by(leaf.key) {
        warnings.push(format!(
            "the key is {}, which {clients} do not accept: use ECDSA on P-256, or RSA of 2048 to 4096 \
             bits",
            leaf.key
        ));
    }
    if !leaf.is_for_servers {
        warnings.push(
            "the certificate is not meant for servers, so clients refuse it: its extendedKeyUsage \
             lacks serverAuth"
                .into(),
        );
    }
    for (certificate, number) in chain.iter().zip(1..) {
        let subject = &certificate.subject;
        let name = match number {
            1 => "the certificate".into(),
            _ => format!("certificate {number} of the chain ({subject})"),
        };
        if let Ok(wait) = certificate.not_before.duration_since(now) {
            let left = days(wait);
            warnings.push(format!("{name} is not valid yet: it begins in {left}"));
        }
        if number > 1
            && let Ok(since) = now.duration_since(certificate.not_after)
        {
            warnings.push(format!(
                "{name} expired {} ago, so clients may refuse the chain: replace it by the current \
                 one of the authority",
                days(since)
            ));
        }
        if number > 1 && certificate.key.bits.is_some_and(|bits| bits < SMALLEST_RSA) {
            warnings.push(format!(
                "{name} has a key that is {}, which clients refuse as too small",
                certificate.key
            ));
        }
        // Clients do not verify the signature of a root.
        if let Some(hash) = certificate.weak_hash.filter(|_| !certificate.self_signed) {
            warnings.push(format!(
                "{name} is signed with {hash}, which clients refuse: have it issued again with SHA-256"
            ));
        }
    }
    for (pair, number) in chain.windows(2).zip(1..) {
        if !pair[0].is_issued_by(&pair[1]) {
            warnings.push(format!(
                "certificate {} of the chain ({}) is not the issuer of certificate {number}, so \
                 clients may find no way to their root: put the issuer of each certificate behind it",
                number + 1,
                pair[1].subject
            ));
        }
    }
    warnings.extend(about_ocsp(leaf, response, now));
    warnings
}

fn about_ocsp(
    leaf: &Certificate,
    response: Option<&OcspResponse>,
    now: SystemTime,
) -> Option<String> {
    let Some(response) = response else {
        return leaf.must_staple.then(|| {
            "the certificate needs an OCSP response (must-staple, RFC 7633) and has none, so clients \
             that check it refuse the certificate: give it the one of its authority's responder"
                .into()
        });
    };
    let effect = match leaf.must_staple {
        true => {
            "clients that check it refuse the certificate, which needs one (must-staple, RFC 7633)"
        }
        false => "clients get none",
    };
    if let Ok(wait) = response.this_update.duration_since(now) {
        let left = days(wait);
        return Some(format!(
            "the OCSP response is not valid yet, so {effect}: it begins in {left}"
        ));
    }
    let since = now.duration_since(response.next_update?).ok()?;
    Some(format!(
        "the OCSP response has expired {} ago, so {effect}: renew it",
        days(since)
    ))
}

/// The clients that do not verify the signatures of this key.
fn refused_by(key: Key) -> Option<&'static str> {
    match key.kind {
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => None,
        KeyKind::EcdsaP521 => Some("Chrome, Edge and other clients"),
        KeyKind::Ed25519 | KeyKind::Ed448 | KeyKind::RsaPss => Some("browsers"),
        // The limit of rustls and Go.
        KeyKind::Rsa => (key.bits > Some(8192)).then_some("many clients"),
        KeyKind::EcdsaSecp256k1
        | KeyKind::EcdsaOther
        | KeyKind::EcdsaExplicit
        | KeyKind::Dsa
        | KeyKind::MlDsa
        | KeyKind::Other => Some("browsers and most other clients"),
    }
}

fn days(duration: Duration) -> String {
    match duration.as_secs() / (24 * 60 * 60) {
        0 => "less than a day".into(),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, date_time_ymd,
    };

    use super::*;

    const LEAF: &str = "MIIBvjCCASegAwIBAgIURSpPN4I28LAWz05i/vBaoTApSKUwDQYJKoZIhvcNAQEFBQAwEDEOMAwGA1UE\
        AwwFc21hbGwwHhcNMjYxMTMwMDE1ODMwWhcNMzYxMTI3MDE1ODMwWjAUMRIwEAYDVQQDDAlsb2NhbGhv\
        c3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT8MWv4kJ879aLvMYB4SXmA9JOsJHgZgIbyqvbW4fK4\
        h8px2U+WMSmeyca7ihm3cVoyduk7t5hkp4yLPYS859Eco1gwVjAUBgNVHREEDTALgglsb2NhbGhvc3Qw\
        HQYDVR0OBBYEFELHjZa4Hy/5g9JerqSKx+zC7UDAMB8GA1UdIwQYMBaAFMZ1PjD8t2wqqiBUyXH80JKJ\
        krfaMA0GCSqGSIb3DQEBBQUAA4GBAAzNE5gU1dNDXSd/mZwfUHE8yjdD75le7f3bWIuMmKGrd4lRpv8j\
        knWBLtwU4sdP1oPm5Mu1HR3o9E6W08kHQn03xGw9w1CyN/lyW/MtjZCoTdnoPRfulq7FbQc/0OelxurH\
        K1xezOkTFYgpDOi8U+xH3xPiGh7g1u7cZ6DfOn3k";
    const INTERMEDIATE: &str = "MIIB/DCCAWWgAwIBAgIUQujF1gZWTw5RJaKUwt/1bHGEdPgwDQYJKoZIhvcNAQELBQAwEDEOMAwGA1UE\
        AwwFc21hbGwwHhcNMjYxMTMwMDE1NzU0WhcNMjcwMzEwMDE1NzU0WjAQMQ4wDAYDVQQDDAVzbWFsbDCB\
        nzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAzx1mHHJjfj6aiMlc2Q3YZ/SHxau3RzIKpM9JKJCm+GPf\
        8Z2ZdIZf/66+Zhm847risvXPmva4i0WaBUrtNq/w9T+LPgES7qfUpCGyQdjHTGiMQcTDH0lBbNmT06YL\
        MKdHShtjIzmwFgtQN5HHerRv4SCjbMPX2RRYlSq3q8gPcVcCAwEAAaNTMFEwHQYDVR0OBBYEFMZ1PjD8\
        t2wqqiBUyXH80JKJkrfaMB8GA1UdIwQYMBaAFMZ1PjD8t2wqqiBUyXH80JKJkrfaMA8GA1UdEwEB/wQF\
        MAMBAf8wDQYJKoZIhvcNAQELBQADgYEArOwblp+qOg42Z0OammWWhjT659l4YDbJp116QRmpNjh6xMpI\
        iDFTPjSesfnXfqeFX8x5t0ErDtD9LaYQgy/onAWbh6psf6fAA9ksSOuknsoskCW65TYYRE4PRGKXxRto\
        76udNqVdmqGpa+l2dbRJc34g05g+If8b2rNNijTvpvg=";

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// The warnings about a chain of two certificates.
    fn warnings(
        leaf: impl FnOnce(&mut CertificateParams),
        issuer: impl FnOnce(&mut CertificateParams),
    ) -> Vec<String> {
        let key = KeyPair::generate().expect("a key");
        let root = Issuer::new(authority("root"), KeyPair::generate().expect("a key"));
        let mut intermediate = authority("intermediate");
        issuer(&mut intermediate);
        let issued = intermediate.signed_by(&key, &root).expect("issued");
        let issuer = Issuer::new(intermediate, key);
        let mut params = CertificateParams::new(["a.test".to_owned()]).expect("a name");
        leaf(&mut params);
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &issuer).expect("issued");
        let chain = [leaf.der(), issued.der()].map(|der| Certificate::from_der(der));
        of(
            &chain.map(|certificate| certificate.expect("readable")),
            None,
            SystemTime::now(),
        )
    }

    #[test]
    fn what_clients_refuse_is_warned_of() {
        assert!(warnings(|_| {}, |_| {}).is_empty());
        for (found, wanted) in [
            (
                warnings(|leaf| leaf.subject_alt_names.clear(), |_| {}),
                "subjectAltName",
            ),
            (
                warnings(|leaf| leaf.not_before = date_time_ymd(3000, 1, 1), |_| {}),
                "the certificate is not valid yet: it begins in 3",
            ),
            (
                warnings(
                    |_| {},
                    |issuer| issuer.not_before = date_time_ymd(3000, 1, 1),
                ),
                "certificate 2 of the chain (CN=intermediate) is not valid yet",
            ),
            (
                warnings(
                    |_| {},
                    |issuer| issuer.not_after = date_time_ymd(2020, 1, 1),
                ),
                "certificate 2 of the chain (CN=intermediate) expired ",
            ),
            (
                warnings(
                    |leaf| {
                        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                    },
                    |_| {},
                ),
                "serverAuth",
            ),
        ] {
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(wanted), "{found:?}");
        }
        let for_both = |leaf: &mut CertificateParams| {
            leaf.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ];
        };
        assert!(warnings(for_both, |_| {}).is_empty());
    }

    /// Made by OpenSSL: an intermediate with RSA of 1024 bits, and a leaf that it signed with SHA-1.
    #[test]
    fn weak_keys_and_hashes_of_a_chain_are_warned_of() {
        let chain = [LEAF, INTERMEDIATE].map(|base64| {
            let der = data_encoding::BASE64
                .decode(base64.as_bytes())
                .expect("Base64");
            Certificate::from_der(&der).expect("readable")
        });
        let now = chain[0].not_before + Duration::from_secs(1);
        let found = of(&chain, None, now);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("the certificate is signed with SHA-1"),
            "{found:?}"
        );
        assert!(
            found[1]
                .contains("certificate 2 of the chain (CN=small) has a key that is RSA of 1024"),
            "{found:?}"
        );
    }

    #[test]
    fn a_certificate_that_is_not_the_issuer_is_warned_of() {
        let chain = ["a", "b"].map(|name| {
            let made = rcgen::generate_simple_self_signed([format!("{name}.test")]);
            let mut params = CertificateParams::new([format!("{name}.test")]).expect("a name");
            params.distinguished_name.push(DnType::CommonName, name);
            let made = params.self_signed(&made.expect("a certificate").signing_key);
            Certificate::from_der(made.expect("a certificate").der()).expect("readable")
        });
        let found = of(&chain, None, SystemTime::now());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0]
                .contains("certificate 2 of the chain (CN=b) is not the issuer of certificate 1"),
            "{found:?}"
        );
    }
}
