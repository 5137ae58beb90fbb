//! Tests lists of cipher suites and key exchange groups, and the server's order of preference.

use std::{io, sync::Arc};

use corelane::{
    Error,
    tls::{CipherSuite, Identity, NamedGroup, Negotiated, TlsConfig, TlsVersion},
};
use corelane_test_support::{
    Backend,
    certs::identity,
    client::{Tls, rustls_config_by},
    for_each_tls_backend,
    reporter::Reporter,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::{
    ClientConfig, HandshakeKind,
    crypto::{CryptoProvider, aws_lc_rs},
};

for_each_tls_backend!(
    only_listed_suites_and_groups_are_negotiated,
    servers_order_of_suites_decides,
    servers_order_of_groups_decides,
    sessions_resume_under_lists,
    unusable_lists_are_errors_when_built,
);

const AES_128_1_3: &str = "TLS_AES_128_GCM_SHA256";
const AES_256_1_3: &str = "TLS_AES_256_GCM_SHA384";
const CHACHA_1_3: &str = "TLS_CHACHA20_POLY1305_SHA256";
const AES_128: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
const AES_256: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
const CHACHA: &str = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
const OF_RSA: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";

fn suites(names: &[&str]) -> Vec<CipherSuite> {
    let suites = names.iter().map(|name| name.parse().expect(name));
    suites.collect()
}

fn groups(names: &[&str]) -> Vec<NamedGroup> {
    let groups = names.iter().map(|name| name.parse().expect(name));
    groups.collect()
}

fn config() -> TlsConfig {
    TlsConfig::new(identity())
}

/// The server of a backend that takes lists.
fn serve(backend: Backend, config: &TlsConfig) -> Option<Reporter> {
    match (backend.make)(config) {
        Err(error) if backend.name == "native-tls" => {
            assert!(error.is_unsupported(), "{error}");
            assert!(error.to_string().contains("it has no call"), "{error}");
            None
        }
        acceptor => Some(Reporter::start(acceptor.expect("an acceptor"))),
    }
}

/// A client that offers these, in this order.
fn client(tls: Tls, suites: &[&str], groups: &[&str]) -> Arc<ClientConfig> {
    let provider = aws_lc_rs::default_provider();
    let number = |name: &&str| name.parse::<CipherSuite>().expect(name).0;
    let suites = suites.iter().map(|name| {
        let mut all = provider.cipher_suites.iter();
        *all.find(|suite| u16::from(suite.suite()) == number(name))
            .expect(name)
    });
    let number = |name: &&str| name.parse::<NamedGroup>().expect(name).0;
    let groups = groups.iter().map(|name| {
        let mut all = aws_lc_rs::ALL_KX_GROUPS.iter();
        *all.find(|group| u16::from(group.name()) == number(name))
            .expect(name)
    });
    let provider = CryptoProvider {
        cipher_suites: suites.collect(),
        kx_groups: groups.collect(),
        ..aws_lc_rs::default_provider()
    };
    rustls_config_by(tls, &[b"h2"], provider)
}

/// One connection: what the server negotiated, and what handshake the client saw.
fn visit(server: &Reporter, client: &Arc<ClientConfig>) -> io::Result<(Negotiated, HandshakeKind)> {
    let mut tls = server.rustls(client);
    let negotiated = server.ask(&mut tls)?;
    let own = tls
        .conn
        .negotiated_cipher_suite()
        .map(|it| it.suite().into());
    assert_eq!(negotiated.cipher_suite.map(|it| it.0), own);
    let own = tls.conn.negotiated_key_exchange_group();
    let own = own.map(|group| u16::from(group.name()));
    assert_eq!(negotiated.key_exchange_group.map(|it| it.0), own);
    Ok((negotiated, tls.conn.handshake_kind().expect("one")))
}

const ALL_1_3: &[&str] = &[CHACHA_1_3, AES_256_1_3, AES_128_1_3];
const ALL_1_2: &[&str] = &[CHACHA, AES_256, AES_128];
const GROUPS: &[&str] = &["secp384r1", "secp256r1", "x25519"];

fn suites_of(tls: Tls) -> &'static [&'static str] {
    match tls {
        Tls::V1_2 => ALL_1_2,
        _ => ALL_1_3,
    }
}

fn only_listed_suites_and_groups_are_negotiated(backend: Backend) {
    let restricted = config()
        .cipher_suites(suites(&[AES_128_1_3, AES_128]))
        .groups(groups(&["secp384r1"]));
    let Some(server) = serve(backend, &restricted) else {
        return;
    };
    for (tls, listed) in [(Tls::V1_2, AES_128), (Tls::V1_3, AES_128_1_3)] {
        let (negotiated, _) = visit(&server, &client(tls, suites_of(tls), GROUPS)).expect("served");
        assert_eq!(negotiated.cipher_suite, Some(suites(&[listed])[0]));
        assert_eq!(negotiated.key_exchange_group, Some(NamedGroup::SECP384R1));
        let others = &suites_of(tls)[..2];
        for (suites, groups) in [(others, GROUPS), (suites_of(tls), &GROUPS[1..])] {
            let error =
                visit(&server, &client(tls, suites, groups)).expect_err("nothing in common");
            assert!(error.to_string().contains("HandshakeFailure"), "{error}");
        }
    }
}

fn servers_order_of_suites_decides(backend: Backend) {
    for first in 0..3 {
        let ordered = |all: &[&'static str]| [&all[first..], &all[..first]].concat();
        let (of_1_3, of_1_2) = (ordered(ALL_1_3), ordered(ALL_1_2));
        let config = config().cipher_suites(suites(&[&of_1_2[..], &of_1_3].concat()));
        let Some(server) = serve(backend, &config) else {
            return;
        };
        for (tls, order) in [(Tls::V1_2, &of_1_2), (Tls::V1_3, &of_1_3)] {
            for offered in [&order[..], &[order[2], order[1], order[0]]] {
                let negotiated = visit(&server, &client(tls, offered, GROUPS))
                    .expect("served")
                    .0;
                assert_eq!(negotiated.cipher_suite, Some(suites(order)[0]), "{tls:?}");
            }
        }
    }
}

/// Also if the client prefers another group, and sends its key share for that one.
fn servers_order_of_groups_decides(backend: Backend) {
    let mut orders = vec![
        &["secp256r1", "x25519", "secp384r1"][..],
        &["secp384r1", "secp256r1"],
        &["x25519", "secp384r1"],
    ];
    if has_ml_kem(backend) {
        orders.push(&["X25519MLKEM768", "x25519"]);
    }
    for order in orders {
        let Some(server) = serve(backend, &config().groups(groups(order))) else {
            return;
        };
        for tls in [Tls::V1_2, Tls::V1_3] {
            let is_in_version = |name: &&&str| tls == Tls::V1_3 || !name.contains("MLKEM");
            let usable: Vec<_> = order
                .iter()
                .copied()
                .filter(|it| is_in_version(&it))
                .collect();
            let first = groups(&usable)[0];
            let reversed: Vec<_> = order.iter().copied().rev().collect();
            for (mut offered, retry) in [(order.to_vec(), false), (reversed, true)] {
                // Under TLS 1.2 the client needs the curve of the certificate (RFC 8422 section 5.1).
                if !offered.contains(&"secp256r1") {
                    offered.push("secp256r1");
                }
                let client = client(tls, suites_of(tls), &offered);
                let (negotiated, kind) = visit(&server, &client).expect("served");
                assert_eq!(
                    negotiated.key_exchange_group,
                    Some(first),
                    "{order:?} {tls:?}"
                );
                let retried = kind == HandshakeKind::FullWithHelloRetryRequest;
                assert_eq!(retried, retry && tls == Tls::V1_3, "{order:?} {tls:?}");
            }
        }
    }
}

fn has_ml_kem(backend: Backend) -> bool {
    match backend.name {
        "rustls" => cfg!(feature = "aws-lc-rs"),
        "native-tls" => false,
        _ => openssl::version::number() >= 0x3050_0000,
    }
}

fn sessions_resume_under_lists(backend: Backend) {
    let config = config()
        .cipher_suites(suites(&[AES_256_1_3, AES_128_1_3, AES_128]))
        .groups(groups(&["secp384r1", "x25519"]));
    let Some(server) = serve(backend, &config) else {
        return;
    };
    for tls in [Tls::V1_2, Tls::V1_3] {
        let client = client(tls, suites_of(tls), GROUPS);
        for resumed in [false, true] {
            let (negotiated, _) = visit(&server, &client).expect("served");
            assert_eq!(negotiated.resumed, Some(resumed));
            let group = (tls == Tls::V1_3 || !resumed).then_some(NamedGroup::SECP384R1);
            assert_eq!(negotiated.key_exchange_group, group);
        }
    }
}

fn rsa() -> Identity {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity::from_pem(certificate.pem(), key.serialize_pem()).expect("PEM")
}

fn unusable_lists_are_errors_when_built(backend: Backend) {
    let only_1_3 = || config().min_version(TlsVersion::TLS_1_3);
    let rsa = || TlsConfig::new(rsa());
    type Kind = fn(&Error) -> bool;
    let (wrong, unsupported): (Kind, Kind) = (Error::is_config, Error::is_unsupported);
    for (config, list, kind, texts) in [
        (
            config(),
            &[AES_128_1_3, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"][..],
            wrong,
            &[
                "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
                "RFC 9113 section 9.2.2",
                "remove it",
                AES_128,
            ][..],
        ),
        (
            config(),
            &["TLS_RSA_WITH_AES_128_GCM_SHA256"],
            wrong,
            &["HTTP/2 forbids"],
        ),
        (
            config(),
            &["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"],
            wrong,
            &["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "with ECDHE", OF_RSA],
        ),
        (
            config(),
            &["TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256"],
            unsupported,
            &[
                backend.name,
                "TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256",
                "this build has",
                AES_256_1_3,
                OF_RSA,
            ],
        ),
        (
            config(),
            &[AES_128_1_3, AES_128, AES_128_1_3],
            wrong,
            &[AES_128_1_3, "twice"],
        ),
        (config(), &[AES_128], wrong, &["TLS 1.3", AES_128_1_3]),
        (
            config(),
            &[AES_128_1_3],
            wrong,
            &["TLS 1.2", AES_128, "TLS 1.3 only"],
        ),
        (
            config(),
            &[AES_128_1_3, OF_RSA],
            wrong,
            &["the key is ECDSA on P-256", AES_128],
        ),
        (
            rsa(),
            &[AES_128_1_3, AES_128],
            wrong,
            &["the key is RSA", OF_RSA],
        ),
        (only_1_3(), &[AES_128], wrong, &["TLS 1.3", AES_128_1_3]),
    ] {
        refused(backend, config.cipher_suites(suites(list)), kind, texts);
    }
    for (config, list, kind, texts) in [
        (
            config(),
            &["x25519", "ffdhe8192", "brainpoolP512r1tls13"][..],
            unsupported,
            &[backend.name, "this build has", "x25519, secp256r1"][..],
        ),
        (config(), &["x25519", "X25519"], wrong, &["x25519", "twice"]),
    ] {
        // OpenSSL has ffdhe8192 since 3.0, and the one of brainpool since 3.2.
        let has_all = backend.name == "openssl" && openssl::version::number() >= 0x3020_0000;
        if !has_all || !list.contains(&"ffdhe8192") {
            refused(backend, config.groups(groups(list)), kind, texts);
        }
    }
    if has_ml_kem(backend) {
        let list = groups(&["X25519MLKEM768"]);
        let texts = &["TLS 1.2", "X25519MLKEM768", "add one, for example x25519"];
        refused(backend, config().groups(list.clone()), wrong, texts);
        assert!((backend.make)(&only_1_3().groups(list)).is_ok());
    }
    if backend.name == "native-tls" {
        return;
    }
    for usable in [
        only_1_3().cipher_suites(suites(&[AES_128_1_3, AES_128])),
        only_1_3().cipher_suites(suites(&[CHACHA_1_3])),
        rsa().cipher_suites(suites(&[AES_128_1_3, OF_RSA])),
    ] {
        serve(backend, &usable);
    }
}

fn refused(backend: Backend, config: TlsConfig, kind: fn(&Error) -> bool, texts: &[&str]) {
    let error = (backend.make)(&config).err().expect("unusable");
    let text = error.to_string();
    if backend.name == "native-tls" {
        assert!(error.is_unsupported(), "{text}");
        assert!(text.contains("native-tls"), "{text}");
        return;
    }
    assert!(kind(&error), "{text}");
    for wanted in texts {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}
