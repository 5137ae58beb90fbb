//! Versions of TLS below 1.2, and the system's policy for OpenSSL.

use std::{fmt::Write, process::Command};

use corelane::{
    ProtocolName,
    tls::{CipherSuite, NamedGroup, TlsVersion},
};
use corelane_probe::{Client, Offer, Outcome, Report, Trust, Verdict, probe_blocking};
use openssl::{
    pkey::PKey,
    ssl::{SslAcceptor, SslMethod, SslVersion},
    x509::X509,
};

use crate::{
    ask::{assert_violates, options},
    certificate::CERTIFICATE,
    server::{self, Choose, TestServer},
};

const TLS_1_0: TlsVersion = TlsVersion(0x0301);
const TLS_1_1: TlsVersion = TlsVersion(0x0302);

/// A server that has this version only.
fn only(version: SslVersion, choose: Choose) -> TestServer {
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).expect("OpenSSL");
    let certificate = X509::from_pem(CERTIFICATE.pem.as_bytes()).expect("PEM");
    acceptor.set_certificate(&certificate).expect("certificate");
    let key = PKey::private_key_from_pem(CERTIFICATE.key.as_bytes()).expect("PEM");
    acceptor.set_private_key(&key).expect("its key");
    acceptor.set_security_level(0);
    acceptor
        .set_min_proto_version(Some(version))
        .expect("a version");
    acceptor
        .set_max_proto_version(Some(version))
        .expect("a version");
    acceptor.set_alpn_select_callback(choose);
    let acceptor = acceptor.build();
    TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    })
}

fn asked(server: &TestServer, offer: Offer) -> Report {
    let options = options(Trust::Any).offers([offer]);
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    report
}

/// native-tls cannot lower OpenSSL's security level, under which the signature by SHA-1 is refused; newer
/// releases do not offer the versions then.
#[test]
fn versions_below_1_2_are_offered_by_openssl() {
    for (version, number) in [(SslVersion::TLS1, TLS_1_0), (SslVersion::TLS1_1, TLS_1_1)] {
        let server = only(version, server::h2_or_http_1_1);
        for (name, is_h2) in [(ProtocolName::H2, true), (ProtocolName::HTTP_1_1, false)] {
            let report = asked(&server, Offer::new([name.clone()]).only(number));
            let (by_openssl, others): (Vec<_>, Vec<_>) = report
                .rows
                .iter()
                .partition(|row| row.client == Client::Openssl);
            assert_eq!(by_openssl.len(), 1);
            for row in others {
                assert_eq!(row.client, Client::NativeTls);
                match &row.outcome {
                    Outcome::Incompatible(why) => assert!(why.contains("legacy sigalg"), "{why}"),
                    // The level of an OpenSSL without Debian's policy.
                    other => assert_eq!(*other, by_openssl[0].outcome, "{report}"),
                }
            }
            for row in by_openssl {
                let Outcome::Negotiated {
                    alpn_protocol,
                    tls_version,
                    cipher_suite,
                    key_exchange_group,
                    ..
                } = &row.outcome
                else {
                    panic!("{report}");
                };
                assert_eq!(alpn_protocol.as_ref(), Some(&name));
                assert_eq!(*tls_version, Some(number));
                assert!(cipher_suite.is_some());
                assert_eq!(*key_exchange_group, Some(NamedGroup::X25519));
                match is_h2 {
                    true => assert_violates(row, "RFC 9113 section 9.2"),
                    false => assert_eq!(row.verdict, Verdict::Conforms),
                }
            }
        }
    }
}

#[test]
fn a_server_without_an_old_version_sends_an_alert() {
    let server = server::good();
    for version in [TLS_1_0, TLS_1_1] {
        let report = asked(&server, Offer::new([ProtocolName::H2]).only(version));
        assert!(report.rows.iter().any(|row| row.client == Client::Openssl));
        for row in &report.rows {
            assert_eq!(row.outcome, Outcome::Alert(70), "{report}");
            assert_eq!(row.verdict, Verdict::Conforms);
        }
    }
}

/// Without a version in the offer, the clients begin at TLS 1.2.
#[test]
fn no_client_goes_below_tls_1_2_by_itself() {
    let server = only(SslVersion::TLS1_1, server::h2_or_http_1_1);
    let report = asked(&server, Offer::new([ProtocolName::H2]));
    let refused = |outcome: &Outcome| *outcome == Outcome::Alert(70);
    assert!(report.rows.iter().all(|row| refused(&row.outcome)));
}

/// The policy of a separate process, as OpenSSL reads it once.
fn under_policy(test: &str, policy: &[&str], addr: std::net::SocketAddr) {
    let mut text = String::from(
        "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = policy\n[policy]\n",
    );
    for line in policy {
        writeln!(text, "{line}").expect("a string");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env(SERVER, addr.to_string())
        .env("OPENSSL_CONF", file.path())
        .output()
        .expect("run again");
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "{stdout}");
}

const SERVER: &str = "CORELANE_TEST_SERVER";

/// In the process that [`under_policy`] runs.
fn server_of_the_parent() -> Option<std::net::SocketAddr> {
    let addr = std::env::var(SERVER).ok()?;
    Some(addr.parse().expect("an address"))
}

#[test]
fn a_version_that_the_policy_turns_off_is_skipped_with_the_reason() {
    let Some(addr) = server_of_the_parent() else {
        let policy = ["Protocol = -TLSv1, -TLSv1.1"];
        let test = "versions::a_version_that_the_policy_turns_off_is_skipped_with_the_reason";
        return under_policy(test, &policy, server::good().addr);
    };
    let mut options = options(Trust::Any);
    options.offers = vec![Offer::new([ProtocolName::H2]).only(TLS_1_1)];
    let report = probe_blocking(addr, "localhost", &options).expect("a report");
    assert_eq!(report.rows.len(), options.clients.len(), "{report}");
    for row in &report.rows {
        let why = match row.client {
            Client::Rustls => "rustls has no TLS 1.1",
            Client::Openssl => "this OpenSSL cannot make the offer: no protocols available",
            Client::NativeTls => "native-tls cannot offer TLS 1.1: no protocols available",
            _ => "the raw client makes malformed offers only",
        };
        assert_eq!(row.outcome, Outcome::Unsupported(why.into()), "{report}");
        assert_eq!(row.verdict, Verdict::NotJudged);
    }
}

#[test]
fn the_policy_decides_what_openssl_offers() {
    let Some(addr) = server_of_the_parent() else {
        let policy = [
            "MinProtocol = TLSv1.3",
            "Ciphersuites = TLS_CHACHA20_POLY1305_SHA256",
            "Groups = P-384",
        ];
        let test = "versions::the_policy_decides_what_openssl_offers";
        under_policy(test, &policy, server::good().addr);
        let old = only(SslVersion::TLS1_2, server::h2_or_http_1_1);
        return under_policy(test, &policy, old.addr);
    };
    let mut options = options(Trust::Any);
    options.clients = vec![Client::Openssl];
    options.offers = vec![Offer::new([ProtocolName::H2])];
    let report = probe_blocking(addr, "localhost", &options).expect("a report");
    match &report.rows[0].outcome {
        Outcome::Negotiated {
            cipher_suite,
            key_exchange_group,
            ..
        } => {
            assert_eq!(*cipher_suite, Some(CipherSuite(0x1303)));
            assert_eq!(*key_exchange_group, Some(NamedGroup::SECP384R1));
        }
        // A server that has TLS 1.2 only.
        other => assert_eq!(*other, Outcome::Alert(70)),
    }
}
