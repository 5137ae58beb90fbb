//! Servers that exceed a limit of the client's TLS library and break no rule.

use corelane_probe::{
    CheckResult, CheckedReport, Client, Http2, Offer, Outcome, Report, Row, Trust, Verdict,
    probe_blocking,
};
use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    ssl::{SslAcceptor, SslMethod, SslVersion},
    x509::{X509, X509Name, extension::SubjectAlternativeName},
};
use serde_json::Value;

use crate::{
    ask::{h2_rows, http2, libraries, options, report},
    certificate::CERTIFICATE,
    server::{self, TestServer},
};

/// A certificate of some 36 KB: it has a thousand names.
fn long_certificate() -> X509 {
    let names: Vec<_> = (0..1000)
        .map(|n| format!("a-rather-long-name-{n:06}.example"))
        .collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let der = made.cert.der();
    assert!((33_000..45_000).contains(&der.len()), "{}", der.len());
    X509::from_der(der).expect("DER")
}

/// A server that is right about ALPN and sends this many long certificates behind its own.
fn with_long_chain(long: usize, version: SslVersion) -> TestServer {
    let mut acceptor = server::builder(&CERTIFICATE.pem, &CERTIFICATE.key);
    let certificate = long_certificate();
    for _ in 0..long {
        acceptor
            .add_extra_chain_cert(certificate.clone())
            .expect("a chain");
    }
    acceptor
        .set_max_proto_version(Some(version))
        .expect("a version");
    acceptor.set_alpn_select_callback(server::h2_or_alert);
    serving(acceptor.build())
}

fn serving(acceptor: SslAcceptor) -> TestServer {
    TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    })
}

/// The h2 offers under the server's own version.
fn made(report: &Report, client: Client) -> impl Iterator<Item = &Row> {
    h2_rows(report)
        .filter(move |row| row.client == client)
        .filter(|row| row.outcome != Outcome::Alert(70))
}

/// The clients on OpenSSL.
fn on_openssl() -> impl Iterator<Item = Client> {
    libraries().into_iter().filter(|it| *it != Client::Rustls)
}

#[test]
fn a_chain_over_64_kib_is_not_judged_by_rustls() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let server = with_long_chain(2, version);
        let report = report(server.addr);
        let violates = |row: &Row| matches!(row.verdict, Verdict::Violates(_));
        assert!(!report.rows.iter().any(violates), "{report}");
        assert!(made(&report, Client::Rustls).count() >= 5);
        for row in made(&report, Client::Rustls) {
            let Outcome::Incompatible(why) = &row.outcome else {
                panic!("{report}");
            };
            assert!(
                why.contains("64 KiB") && why.contains("certificates"),
                "{why}"
            );
            assert_eq!(row.verdict, Verdict::NotJudged);
        }
        // OpenSSL reads it.
        for row in on_openssl().flat_map(|client| made(&report, client)) {
            assert_eq!(*http2(row), Http2::Served(200), "{report}");
            assert_eq!(row.verdict, Verdict::Conforms);
        }
        let note = report.note().expect("a note");
        assert!(
            note.starts_with("rustls cannot complete") && note.contains("64 KiB"),
            "{note}"
        );
    }
}

#[test]
fn a_chain_over_100_kib_is_not_judged_by_openssl() {
    let server = with_long_chain(3, SslVersion::TLS1_3);
    let report = report(server.addr);
    for client in libraries() {
        let limit = match client {
            Client::Rustls => "64 KiB",
            _ => "100 KiB",
        };
        for row in made(&report, client) {
            let Outcome::Incompatible(why) = &row.outcome else {
                panic!("{report}");
            };
            assert!(why.contains(limit), "{why}");
            assert_eq!(row.verdict, Verdict::NotJudged);
        }
    }
}

/// Every format shows it as a case that could not be judged, neither passed nor failed.
#[test]
fn each_format_shows_what_was_not_judged() {
    let server = with_long_chain(2, SslVersion::TLS1_3);
    let mut options = options(Trust::Any);
    options.offers = vec![Offer::defaults().remove(0)];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    let checked = CheckedReport::new(report, Vec::new());
    // A client completed no handshake.
    assert_eq!(checked.result(), CheckResult::FallsShort);
    let written = |write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut out = Vec::new();
        write(&mut out).expect("written");
        String::from_utf8(out).expect("text")
    };
    let rows = libraries().len();
    let table = written(&|out| checked.write_table(out, false));
    let row = table.lines().find(|line| line.starts_with("rustls  "));
    assert!(
        row.is_some_and(|row| row.ends_with("not judged")),
        "{table}"
    );
    let summary = format!(
        "{} of {rows} answers conform to the RFCs, 1 could not be judged",
        rows - 1
    );
    assert!(table.contains(&summary), "{table}");

    let json = written(&|out| checked.write_json(out));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let row = &json["rows"][0];
    assert_eq!(row["client"], "rustls");
    assert_eq!(row["outcome"]["kind"], "incompatible");
    assert_eq!(row["verdict"]["kind"], "not-judged");
    assert_eq!(json["without_handshake"][0], "rustls");
    let schema = include_str!("../../schema/alpn-report.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a JSON Schema");
    assert!(schema.is_valid(&json), "{json}");

    let tap = written(&|out| checked.write_tap(out));
    assert!(tap.contains("\nok 1 - rustls: h2 # SKIP "), "{tap}");
    let handshake = format!("not ok {} - rustls: a handshake", rows + 1);
    assert!(tap.contains(&handshake), "{tap}");
    let junit = written(&|out| checked.write_junit(out));
    let junit = quick_junit::Report::deserialize_from_str(&junit).expect("JUnit");
    assert_eq!(
        (junit.tests, junit.failures, junit.errors),
        (rows + 1, 1, 0)
    );
}

/// A certificate authority on P-256, and a certificate for localhost that it has issued for `key`.
fn issued(key: &PKey<Private>, version: i32) -> (X509, X509) {
    let made = rcgen::KeyPair::generate().expect("a key");
    let authority_key = PKey::private_key_from_pem(made.serialize_pem().as_bytes()).expect("PEM");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&made).expect("a certificate");
    let authority = X509::from_der(authority.der()).expect("DER");

    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_nid(Nid::COMMONNAME, "localhost")
        .expect("a name");
    let mut leaf = X509::builder().expect("a certificate");
    leaf.set_version(version).expect("a version");
    leaf.set_subject_name(&name.build()).expect("a subject");
    leaf.set_issuer_name(authority.subject_name())
        .expect("an issuer");
    leaf.set_pubkey(key).expect("a key");
    let (from, to) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
    leaf.set_not_before(&from.expect("a time")).expect("a time");
    leaf.set_not_after(&to.expect("a time")).expect("a time");
    if version > 0 {
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .build(&leaf.x509v3_context(Some(&authority), None))
            .expect("a name");
        leaf.append_extension(names).expect("an extension");
    }
    leaf.sign(&authority_key, MessageDigest::sha256())
        .expect("signed");
    (authority, leaf.build())
}

/// The rows of a server with a certificate for this key, whose issuer the clients trust: that of rustls,
/// and those of the clients on OpenSSL.
fn outcomes(key: &PKey<Private>, version: i32) -> (Row, Vec<Row>) {
    let (authority, leaf) = issued(key, version);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL");
    // Else OpenSSL would not serve a short key.
    acceptor.set_security_level(0);
    acceptor.set_certificate(&leaf).expect("a certificate");
    acceptor.set_private_key(key).expect("its key");
    acceptor.set_alpn_select_callback(server::h2_or_alert);
    let server = serving(acceptor.build());
    let mut options = options(Trust::Pem(authority.to_pem().expect("PEM")));
    options.offers = vec![Offer::defaults().remove(0)];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    let (rustls, others): (Vec<_>, _) = report
        .rows
        .into_iter()
        .partition(|row| row.client == Client::Rustls);
    let rustls = rustls.into_iter().next().expect("a row of rustls");
    (rustls, others)
}

#[test]
fn a_key_of_a_size_that_the_client_refuses_is_not_judged() {
    let key = PKey::from_rsa(Rsa::generate(1024).expect("a key")).expect("a key");
    let (rustls, on_openssl) = outcomes(&key, 2);
    let Outcome::Incompatible(why) = &rustls.outcome else {
        panic!("{}", rustls.outcome);
    };
    assert!(
        why.contains("2048 to 8192 bits") && why.contains("1024"),
        "{why}"
    );
    assert_eq!(rustls.verdict, Verdict::NotJudged);
    // It depends on the security level that this OpenSSL was built with.
    for row in &on_openssl {
        match &row.outcome {
            Outcome::Incompatible(why) => assert!(why.contains("key too weak"), "{why}"),
            _ => assert_eq!(*http2(row), Http2::Served(200)),
        }
        assert_eq!(row.outcome, on_openssl[0].outcome);
    }
}

#[test]
fn a_certificate_version_that_the_client_lacks_is_not_judged() {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let (rustls, on_openssl) = outcomes(&key, 0);
    assert!(
        matches!(&rustls.outcome, Outcome::Incompatible(why) if why.contains("Version")),
        "{}",
        rustls.outcome
    );
    for row in &on_openssl {
        assert_eq!(*http2(row), Http2::Served(200));
    }
}
