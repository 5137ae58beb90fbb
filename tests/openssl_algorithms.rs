//! Tests lists of cipher suites and groups on the backend openssl: beside the system's policy, and with
//! all groups that OpenSSL has.
#![cfg(feature = "openssl")]

use std::{process::Command, sync::Arc};

use corelane::tls::{CipherSuite, Identity, NamedGroup, OpensslAcceptor, TlsConfig};
use corelane_test_support::{
    certs::identity,
    client::Tls,
    reporter::{Reporter, openssl_client},
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

const POLICY: &str = "CORELANE_TEST_POLICY";

const AES_128_1_3: &str = "TLS_AES_128_GCM_SHA256";
const AES_128: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";

fn config(suites: &[&str], groups: &[&str]) -> TlsConfig {
    let suites = suites
        .iter()
        .map(|name| name.parse::<CipherSuite>().expect(name));
    let groups = groups
        .iter()
        .map(|name| name.parse::<NamedGroup>().expect(name));
    TlsConfig::new(identity())
        .cipher_suites(suites)
        .groups(groups)
}

/// OpenSSL reads its configuration once per process, so this test runs itself for each policy.
#[test]
fn lists_replace_those_of_the_policy_only() {
    if let Ok(policy) = std::env::var(POLICY) {
        return under_policy(&policy);
    }
    let dir = tempfile::tempdir().expect("a directory");
    for (name, defaults) in [
        (
            "lists",
            "CipherString = ECDHE-ECDSA-AES256-GCM-SHA384\nCiphersuites = TLS_AES_256_GCM_SHA384\n\
             Groups = P-384\nMinProtocol = TLSv1.2",
        ),
        ("oldest", "MinProtocol = TLSv1.3"),
        ("newest", "MaxProtocol = TLSv1.2"),
        ("without", "Protocol = -TLSv1.3"),
        ("strict", "CipherString = DEFAULT:@SECLEVEL=4"),
    ] {
        let file = dir.path().join(name);
        let text = format!(
            "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n\
             [defaults]\n{defaults}\n"
        );
        std::fs::write(&file, text).expect("written");
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "lists_replace_those_of_the_policy_only"])
            .env("OPENSSL_CONF", file)
            .env(POLICY, name)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains("1 passed"), "{name}: {text}");
    }
}

fn under_policy(policy: &str) {
    let make = |suites: &[&str], groups: &[&str]| OpensslAcceptor::new(&config(suites, groups));
    let serve = |suites: &[&str], groups: &[&str]| {
        Reporter::start(Arc::new(make(suites, groups).expect("an acceptor")))
    };
    // The client has no list, and the policy applies to it too.
    let client = |tls| {
        let mut client = openssl_client(tls);
        client.set_cipher_list("DEFAULT").expect("suites");
        client.set_ciphersuites(AES_128_1_3).expect("a suite");
        client.set_groups_list("P-256:P-384").expect("groups");
        client.build()
    };
    let ask = |server: &Reporter, tls| {
        let tls = server.openssl(&client(tls)).ok()?;
        Some(server.ask(tls).expect("served"))
    };
    match policy {
        "lists" => {
            let server = serve(&[AES_128_1_3, AES_128], &["secp256r1"]);
            for (tls, suite) in [(Tls::V1_2, AES_128), (Tls::V1_3, AES_128_1_3)] {
                let negotiated = ask(&server, tls).expect("served");
                assert_eq!(negotiated.cipher_suite, suite.parse().ok());
                assert_eq!(negotiated.key_exchange_group, Some(NamedGroup::SECP256R1));
            }
            // One list alone leaves the other one to the policy.
            let server = serve(&[], &["secp256r1"]);
            assert!(ask(&server, Tls::V1_3).is_none());
            let server = serve(&[AES_128_1_3, AES_128], &[]);
            let negotiated = ask(&server, Tls::V1_3).expect("served");
            assert_eq!(negotiated.key_exchange_group, Some(NamedGroup::SECP384R1));
        }
        "oldest" => {
            // TLS 1.2 needs no suite here, and one for it does not bring it back.
            for suites in [&[AES_128_1_3][..], &[AES_128_1_3, AES_128]] {
                let server = serve(suites, &[]);
                assert!(ask(&server, Tls::V1_2).is_none());
                assert!(ask(&server, Tls::V1_3).is_some());
            }
        }
        "newest" | "without" => {
            let server = serve(&[AES_128], &["x25519", "secp256r1"]);
            let negotiated = ask(&server, Tls::V1_2).expect("served");
            assert_eq!(negotiated.key_exchange_group, Some(NamedGroup::SECP256R1));
            assert!(ask(&server, Tls::V1_3).is_none());
            let error = make(&[AES_128_1_3], &[]).expect_err("no suite of TLS 1.2");
            assert!(error.to_string().contains("TLS 1.2"), "{error}");
        }
        "strict" => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
            let params = CertificateParams::new(["localhost".to_owned()]).expect("names");
            let certificate = params.self_signed(&key).expect("a certificate");
            let identity = Identity::from_pem(certificate.pem(), key.serialize_pem());
            let identity = identity.expect("PEM");
            let make = |suites: &[&str], groups: &[&str]| {
                let mut config = config(suites, groups);
                config.identity = identity.clone();
                OpensslAcceptor::new(&config)
            };
            let strong = [
                "TLS_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            ];
            make(&strong, &["secp384r1"]).expect("192 bits suffice");
            for (suites, groups, weak) in [
                (
                    &[&strong[..], &[AES_128_1_3]].concat()[..],
                    &[][..],
                    AES_128_1_3,
                ),
                (&[&strong[..], &[AES_128]].concat(), &[], AES_128),
                (&[], &["secp384r1", "x25519"], "x25519"),
            ] {
                let error = make(suites, groups).expect_err(weak);
                assert!(error.is_config(), "{error}");
                for text in [weak, "security level 4", "128 bits", "192 bits"] {
                    assert!(error.to_string().contains(text), "{error}");
                }
            }
        }
        other => panic!("{other}"),
    }
}

/// Also under TLS 1.3 if the session resumes.
#[test]
fn every_group_is_reported() {
    let mut reported = 0;
    for (name, of_openssl, version) in [
        ("x25519", "X25519", Tls::Any),
        ("secp256r1", "P-256", Tls::Any),
        ("secp384r1", "P-384", Tls::Any),
        ("secp521r1", "P-521", Tls::Any),
        ("x448", "X448", Tls::Any),
        ("brainpoolP256r1", "brainpoolP256r1", Tls::V1_2),
        ("brainpoolP384r1", "brainpoolP384r1", Tls::V1_2),
        ("brainpoolP512r1", "brainpoolP512r1", Tls::V1_2),
        ("brainpoolP256r1tls13", "brainpoolP256r1tls13", Tls::V1_3),
        ("brainpoolP384r1tls13", "brainpoolP384r1tls13", Tls::V1_3),
        ("brainpoolP512r1tls13", "brainpoolP512r1tls13", Tls::V1_3),
        ("ffdhe2048", "ffdhe2048", Tls::V1_3),
        ("ffdhe3072", "ffdhe3072", Tls::V1_3),
        ("ffdhe4096", "ffdhe4096", Tls::V1_3),
        ("ffdhe6144", "ffdhe6144", Tls::V1_3),
        ("ffdhe8192", "ffdhe8192", Tls::V1_3),
        ("MLKEM512", "MLKEM512", Tls::V1_3),
        ("MLKEM768", "MLKEM768", Tls::V1_3),
        ("MLKEM1024", "MLKEM1024", Tls::V1_3),
        ("X25519MLKEM768", "X25519MLKEM768", Tls::V1_3),
        ("SecP256r1MLKEM768", "SecP256r1MLKEM768", Tls::V1_3),
        ("SecP384r1MLKEM1024", "SecP384r1MLKEM1024", Tls::V1_3),
    ] {
        let mut versions = vec![Tls::V1_2, Tls::V1_3];
        versions.retain(|&tls| version == Tls::Any || version == tls);
        // The other group is for the version that does not have this one.
        let groups = match version {
            Tls::Any => vec![name],
            _ => vec![name, "secp256r1"],
        };
        let Ok(acceptor) = OpensslAcceptor::new(&config(&[], &groups)) else {
            let mut client = openssl_client(Tls::Any);
            assert!(client.set_groups_list(of_openssl).is_err(), "{name}");
            eprintln!("NOT TESTED: this OpenSSL does not have {name}");
            continue;
        };
        reported += 1;
        let server = Reporter::start(Arc::new(acceptor));
        for tls in versions {
            let mut client = openssl_client(tls);
            // Under TLS 1.2 the client needs the curve of the certificate.
            let offered = format!("{of_openssl}:P-256");
            let offered = if name == "secp256r1" {
                "P-256"
            } else {
                &offered
            };
            client.set_groups_list(offered).expect(name);
            let client = server.openssl(&client.build()).expect(name);
            let negotiated = server.ask(client).expect("served");
            assert_eq!(negotiated.key_exchange_group, name.parse().ok(), "{tls:?}");
        }
    }
    assert!(reported >= 5, "{reported}");
}
