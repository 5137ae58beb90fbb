//! Which certificates are trusted.

use std::process::Command;

use corelane_probe::{Client, Offer, Outcome, Trust, Verdict, probe_blocking};
use rustls::version::{TLS12, TLS13};

use crate::{
    ask::{holds, libraries, options},
    certificate::CERTIFICATE,
    server::{self, TestServer},
};

#[test]
fn checks_issuer_and_name_on_openssl() {
    checks_issuer_and_name(&server::good());
}

#[test]
fn checks_issuer_and_name_on_rustls() {
    let versions = [&TLS13, &TLS12];
    checks_issuer_and_name(&server::rustls(&versions, 0, |stream| server::h2(stream)));
}

fn checks_issuer_and_name(server: &TestServer) {
    let offers = vec![Offer::defaults().remove(0)];
    let ask = |name: &str, trust: Trust| {
        let mut options = options(trust);
        options.offers = offers.clone();
        probe_blocking(server.addr, name, &options).expect("a report")
    };
    let own = Trust::Pem(CERTIFICATE.pem.clone().into());
    for name in ["localhost", "127.0.0.1"] {
        let report = ask(name, own.clone());
        assert!(holds(&report, "h2"), "{report}");
    }
    for (name, trust) in [("localhost", Trust::System), ("other.example", own)] {
        let report = ask(name, trust);
        assert!(report.is_reachable() && report.rows.len() == libraries().len());
        for row in &report.rows {
            assert!(matches!(row.outcome, Outcome::Untrusted(_)), "{report}");
            assert_eq!(row.verdict, Verdict::NotJudged);
        }
    }
    assert!(holds(&ask("other.example", Trust::Any), "h2"));
}

/// `openssl req -x509` marks its certificates as a CA by default. All clients accept that alike.
#[test]
fn a_given_certificate_that_is_marked_as_a_ca_is_trusted() {
    let made = |until: i32| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    for (until, name, trusted) in [
        (4096, "localhost", true),
        (4096, "other.example", false),
        (2001, "localhost", false),
    ] {
        let (pem, key) = made(until);
        let mut acceptor = server::builder(&pem, &key);
        acceptor.set_alpn_select_callback(server::h2_or_alert);
        let acceptor = acceptor.build();
        let server = TestServer::start(move |socket| {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| server::h2(&mut stream)));
        });
        let mut options = options(Trust::Pem(pem.into()));
        options.offers = vec![Offer::defaults().remove(0)];
        let report = probe_blocking(server.addr, name, &options).expect("a report");
        for row in &report.rows {
            let untrusted = matches!(row.outcome, Outcome::Untrusted(_));
            assert_eq!(untrusted, !trusted, "{report}");
        }
        assert_eq!(holds(&report, "h2"), trusted, "{report}");
    }
}

/// A given certificate that another authority has issued, which the server does not send. native-tls has
/// no option for it.
#[test]
fn a_given_certificate_that_another_has_issued_is_trusted() {
    let params = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let attribute = rcgen::DnType::CommonName;
        params.distinguished_name.push(attribute, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
    };
    let key = || rcgen::KeyPair::generate().expect("a key");
    let root = rcgen::Issuer::new(params("root"), key());
    let between = (params("between"), key());
    let given = between.0.signed_by(&between.1, &root).expect("signed");
    let between = rcgen::Issuer::new(between.0, between.1);
    let (leaf, own) = (["localhost".to_owned()], key());
    let leaf = rcgen::CertificateParams::new(leaf).expect("a name");
    let leaf = leaf.signed_by(&own, &between).expect("signed");
    let mut acceptor = server::builder(&leaf.pem(), &own.serialize_pem());
    acceptor.set_alpn_select_callback(server::h2_or_alert);
    let acceptor = acceptor.build();
    let server = TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    });
    let mut options = options(Trust::Pem(given.pem().into()));
    options.offers = vec![Offer::defaults().remove(0)];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    for row in &report.rows {
        let trusted = matches!(row.outcome, Outcome::Negotiated { .. });
        assert_eq!(trusted, row.client != Client::NativeTls, "{report}");
    }
}

/// SSL_CERT_FILE names the certificates that the system trusts. It needs a separate process.
#[test]
fn system_certificates_are_trusted() {
    const SERVER: &str = "CORELANE_TEST_SERVER";
    if let Ok(addr) = std::env::var(SERVER) {
        let mut options = options(Trust::System);
        options.offers = vec![Offer::defaults().remove(0)];
        let addr = addr.parse().expect("an address");
        let report = probe_blocking(addr, "localhost", &options).expect("a report");
        assert!(holds(&report, "h2"), "{report}");
        return;
    }
    let server = server::good();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &CERTIFICATE.pem).expect("written");
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "trust::system_certificates_are_trusted",
            "--nocapture",
        ])
        .env(SERVER, server.addr.to_string())
        .env("SSL_CERT_FILE", file.path())
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("run again");
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "{stdout}");
}
