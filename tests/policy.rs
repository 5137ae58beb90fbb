//! Tests the system's policy for OpenSSL: the section `system_default` of its configuration file.
#![cfg(feature = "openssl")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use corelane::{
    Chain, Driver,
    tls::{OpensslAcceptor, TlsConfig, TlsVersion},
};
use corelane_test_support::{
    Backend, TestServer,
    backends::OPENSSL,
    certs::identity,
    openssl_conf::{self, policy},
    openssl_peer::{ec, handshake, identity_of, rsa},
    visit::register,
};
use openssl::{
    nid::Nid,
    pkey::{PKey, Private},
    ssl::{SslContextBuilder, SslVersion},
};

/// Backends to which the policy applies.
const BACKENDS: &[Backend] = &[
    OPENSSL,
    #[cfg(feature = "native-tls")]
    corelane_test_support::backends::NATIVE_TLS,
];

fn serve(config: &TlsConfig) -> TestServer {
    serve_on(OPENSSL, config)
}

fn serve_on(backend: Backend, config: &TlsConfig) -> TestServer {
    let acceptor = (backend.make)(config).expect("an acceptor");
    TestServer::start(acceptor, Driver::Epoll, register)
}

fn refusal(backend: Backend, key: &PKey<Private>) -> String {
    let error = (backend.make)(&TlsConfig::new(identity_of(key))).err();
    let error = error.expect("the policy forbids it");
    assert!(error.is_config(), "{error}");
    Chain(&error).to_string()
}

const GCM_128: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";
const GCM_256: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";
const CBC: &str = "ECDHE-ECDSA-AES128-SHA";

#[test]
fn the_system_policy_applies_and_mozillas_without_one() {
    const NAME: &str = "the_system_policy_applies_and_mozillas_without_one";
    if let Some(case) = openssl_conf::case() {
        return under_policy(&case);
    }
    for (case, lines) in [
        ("none", ""),
        ("suite", "CipherString = ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("lax", "CipherString = DEFAULT\nMinProtocol = TLSv1.2"),
        ("oldest", "MinProtocol = TLSv1.3"),
        ("newest", "MaxProtocol = TLSv1.2"),
    ] {
        openssl_conf::run(NAME, case, &policy(lines), |_| ());
    }
}

fn under_policy(case: &str) {
    let server = serve(&TlsConfig::new(identity()));
    let takes = |suite: &str| {
        let taken = handshake(server.addr, SslVersion::TLS1_2, |client| {
            client.set_cipher_list(suite)
        });
        let cipher = |tls: &openssl::ssl::SslRef| tls.current_cipher().map(|it| it.name());
        taken
            .map(|tls| assert_eq!(cipher(tls.ssl()), Some(suite)))
            .is_ok()
    };
    let tls_1_3 = || handshake(server.addr, SslVersion::TLS1_3, |_| Ok(())).is_ok();
    let suites = [GCM_128, GCM_256, CBC].map(takes);
    let expected = match case {
        "none" => ([true, true, false], true),
        "suite" => ([false, true, false], true),
        "lax" => ([true, true, true], true),
        "oldest" => ([false, false, false], true),
        "newest" => ([true, true, false], false),
        other => panic!("{other}"),
    };
    assert_eq!((suites, tls_1_3()), expected, "{case}");
    let config = TlsConfig::new(identity()).min_version(TlsVersion::TLS_1_3);
    if case == "newest" {
        let error = OpensslAcceptor::new(&config).expect_err("the policy forbids it");
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("MaxProtocol"), "{error}");
        return;
    }
    let server = serve(&config);
    handshake(server.addr, SslVersion::TLS1_3, |_| Ok(())).expect("served");
    assert!(handshake(server.addr, SslVersion::TLS1_2, |_| Ok(())).is_err());
}

type Change = fn(&mut SslContextBuilder) -> Result<(), openssl::error::ErrorStack>;

#[test]
fn groups_suites_and_signatures_of_the_policy_apply() {
    const NAME: &str = "groups_suites_and_signatures_of_the_policy_apply";
    const CASES: [(&str, SslVersion, Change, Change); 4] = [
        (
            "Groups = P-384",
            SslVersion::TLS1_2,
            |client| client.set_groups_list("P-256:P-384"),
            |client| client.set_groups_list("P-256:P-521"),
        ),
        (
            "Groups = P-384",
            SslVersion::TLS1_3,
            |client| client.set_groups_list("P-256:P-384"),
            |client| client.set_groups_list("P-256:P-521"),
        ),
        (
            "Ciphersuites = TLS_AES_256_GCM_SHA384",
            SslVersion::TLS1_3,
            |client| client.set_ciphersuites("TLS_AES_256_GCM_SHA384"),
            |client| client.set_ciphersuites("TLS_AES_128_GCM_SHA256"),
        ),
        (
            "SignatureAlgorithms = ECDSA+SHA384:ECDSA+SHA256",
            SslVersion::TLS1_3,
            |client| client.set_sigalgs_list("ECDSA+SHA256"),
            |client| client.set_sigalgs_list("RSA-PSS+SHA256"),
        ),
    ];
    if let Some(case) = openssl_conf::case() {
        let (_, version, served, refused) = CASES[case.parse::<usize>().expect("a number")];
        let server = serve(&TlsConfig::new(identity()));
        handshake(server.addr, version, served).expect("served");
        let refusal = handshake(server.addr, version, refused);
        assert_eq!(refusal.err(), Some(true), "an alert");
        return;
    }
    for (number, (lines, ..)) in CASES.iter().enumerate() {
        openssl_conf::run(NAME, &number.to_string(), &policy(lines), |_| ());
    }
}

/// OpenSSL itself takes such a policy, and refuses each client.
#[test]
fn a_policy_that_leaves_nothing_is_an_error_when_built() {
    const NAME: &str = "a_policy_that_leaves_nothing_is_an_error_when_built";
    if let Some(case) = openssl_conf::case() {
        let p_256 = ec(Nid::X9_62_PRIME256V1);
        for &backend in BACKENDS {
            let text = refusal(backend, &p_256);
            assert!(text.contains("cannot complete a handshake"), "{text}");
            assert!(text.contains("openssl.cnf"), "{text}");
            // native-tls has other groups and suites under TLS 1.2.
            assert!(
                backend.name != "openssl" || text.contains(&case),
                "{case}: {text}"
            );
        }
        return;
    }
    for (case, lines) in [
        ("no group", "Groups = secp256k1"),
        ("no signature algorithm", "SignatureAlgorithms = ECDSA+SHA1"),
        (
            "signature algorithm for the key",
            "SignatureAlgorithms = RSA+SHA256:RSA-PSS+SHA256",
        ),
    ] {
        openssl_conf::run(NAME, case, &policy(lines), |_| ());
    }
}

#[test]
fn keys_below_the_security_level_are_refused_when_built() {
    const NAME: &str = "keys_below_the_security_level_are_refused_when_built";
    if let Some(level) = openssl_conf::case() {
        let (refused, accepted) = match level.as_str() {
            "3" => (rsa(2048), [rsa(3072), ec(Nid::X9_62_PRIME256V1)]),
            _ => (
                ec(Nid::X9_62_PRIME256V1),
                [(); 2].map(|()| ec(Nid::SECP384R1)),
            ),
        };
        for &backend in BACKENDS {
            let text = refusal(backend, &refused);
            assert!(text.contains("security level"), "{text}");
        }
        for key in &accepted {
            let server = serve(&TlsConfig::new(identity_of(key)));
            handshake(server.addr, SslVersion::TLS1_3, |_| Ok(())).expect("served");
        }
        return;
    }
    for level in ["3", "4"] {
        let lines = format!("CipherString = DEFAULT:@SECLEVEL={level}");
        openssl_conf::run(NAME, level, &policy(&lines), |_| ());
    }
}

/// Of a certificate that the policy's suites for TLS 1.2 do not fit.
#[test]
fn clients_that_cannot_connect_by_tls_1_2_are_warned_of() {
    const NAME: &str = "clients_that_cannot_connect_by_tls_1_2_are_warned_of";
    const WARNING: &str = "clients without TLS 1.3 cannot connect";
    if openssl_conf::case().is_none() {
        let lines = policy("CipherString = ECDHE-RSA-AES128-GCM-SHA256");
        return openssl_conf::run(NAME, "ECDSA", &lines, |_| ());
    }
    let config = TlsConfig::new(identity());
    let text = logged(&config);
    assert!(text.contains(WARNING), "{text}");
    assert!(text.contains("no cipher suite"), "{text}");
    let text = logged(&config.min_version(TlsVersion::TLS_1_3));
    assert!(!text.contains(WARNING), "{text}");
    let text = logged(&TlsConfig::new(identity_of(&rsa(2048))));
    assert!(!text.contains(WARNING), "{text}");
}

/// It may expect more of clients than the one of the handshake has.
#[test]
fn a_failed_handshake_after_a_change_of_the_user_is_a_warning() {
    const WARNING: &str = "a client cannot connect after TlsConfig::openssl";
    let change = |signatures: &'static str| {
        TlsConfig::new(identity()).openssl(move |context| context.set_sigalgs_list(signatures))
    };
    let text = logged(&change("RSA+SHA256"));
    assert!(text.contains(WARNING), "{text}");
    let text = logged(&change("ECDSA+SHA256"));
    assert!(!text.contains("cannot connect"), "{text}");
}

/// What the making of an acceptor logs.
fn logged(config: &TlsConfig) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), || {
        OpensslAcceptor::new(config).expect("an acceptor");
    });
    let text = log.0.lock().expect("whole");
    String::from_utf8_lossy(&text).into_owned()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
