//! The prober, against corelane's own server and against servers that are faulty on purpose.
#![cfg(all(
    feature = "probe-rustls",
    feature = "probe-native-tls",
    any(feature = "aws-lc-rs", feature = "ring")
))]

mod common;
#[path = "probe/hostile.rs"]
mod hostile;
#[path = "probe/servers.rs"]
mod servers;

use std::{
    io::{Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener},
    panic::catch_unwind,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    Backend, Drivers, TestServer,
    backends::{NATIVE_TLS, RUSTLS},
    certs::CERTIFICATE,
    client::never,
};
use corelane::{
    AlpnMissing, Driver,
    probe::{
        Client, Expectation, Http2, Offer, Outcome, ProbeOptions, Report, Row, Trust, Verdict,
        assert_alpn, probe, probe_blocking,
    },
    service_fn,
    tls::TlsVersion,
};
use servers::Faulty;

for_each_tls_backend!(
    every_row_is_as_specified,
    rules_hold_and_a_broken_one_is_caught,
    http_2_without_alpn_is_seen,
    certificates_are_looked_at,
);

fn options(trust: Trust) -> ProbeOptions {
    let mut options = ProbeOptions::default();
    options.trust = trust;
    options
}

/// Everything that is offered by default.
fn report(addr: SocketAddr) -> Report {
    let report = probe_blocking(addr, "localhost", &options(Trust::Any)).expect("a report");
    println!("{report}");
    report
}

/// The same with less patience, for servers that do not answer.
fn hasty_report(addr: SocketAddr) -> Report {
    let mut options = options(Trust::Any);
    options.timeout = Duration::from_millis(500);
    let report = probe_blocking(addr, "localhost", &options).expect("a report");
    println!("{report}");
    report
}

fn rows<'a>(report: &'a Report, offer: &'a str) -> impl Iterator<Item = &'a Row> {
    let mut rows = report
        .rows
        .iter()
        .filter(move |row| row.offer.to_string() == offer)
        .peekable();
    assert!(rows.peek().is_some(), "{offer} was not offered");
    rows
}

/// Those made by libraries, with `h2` in it.
fn h2_rows(report: &Report) -> impl Iterator<Item = &Row> {
    let offers = |row: &&Row| row.offer.protocols().contains(&corelane::ProtocolName::H2);
    report.rows.iter().filter(offers)
}

fn malformed_rows(report: &Report) -> impl Iterator<Item = &Row> {
    let malformed = |row: &&Row| row.offer.as_malformed().is_some();
    report.rows.iter().filter(malformed)
}

#[track_caller]
fn assert_violates(row: &Row, what: &str) {
    match &row.verdict {
        Verdict::Violates(rule) => assert!(rule.contains(what), "{rule}"),
        other => panic!("{} by {}: {other}", row.offer, row.client),
    }
}

/// Whether a rule is kept.
fn holds(report: &Report, rule: &str) -> bool {
    let rule: Expectation = rule.parse().expect("a rule");
    rule.check_report(report).is_empty()
}

fn start(backend: Backend) -> TestServer {
    TestServer::start(backend.acceptor(), Driver::Epoll, |_| service_fn(never))
}

fn every_row_is_as_specified(backend: Backend) {
    let server = start(backend);
    let report = report(server.addr);
    assert!(report.is_reachable());
    let made: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.client, &row.offer))
        .collect();
    let offers = Offer::defaults();
    let mut wanted = Vec::new();
    for offer in &offers {
        match offer.as_malformed() {
            Some(_) => wanted.push((Client::Raw, offer)),
            None => wanted.extend([(Client::Rustls, offer), (Client::NativeTls, offer)]),
        }
    }
    assert_eq!(made, wanted);
    for row in &report.rows {
        assert_eq!(
            row.verdict,
            Verdict::Conforms,
            "{} by {}",
            row.offer,
            row.client
        );
        let h2 = row.offer.protocols().contains(&corelane::ProtocolName::H2);
        let only_1_3 = row.offer.version() == Some(TlsVersion::TLS_1_3);
        match &row.outcome {
            Outcome::Negotiated {
                alpn_protocol,
                tls_version,
                cipher_suite,
                http2,
                ..
            } => {
                assert!(h2, "{}", row.offer);
                assert_eq!(*alpn_protocol, Some(corelane::ProtocolName::H2));
                assert_eq!(*http2, Some(Http2::Served(200)));
                let best = match backend.tls_1_3 {
                    true => TlsVersion::TLS_1_3,
                    false => TlsVersion::TLS_1_2,
                };
                assert_eq!(*tls_version, Some(row.offer.version().unwrap_or(best)));
                let suite = cipher_suite.expect("a cipher suite");
                assert!(suite.name().is_some(), "{suite}");
            }
            Outcome::Alert(120) => assert!(!h2 && row.offer.as_malformed().is_none()),
            Outcome::Alert(50) => assert!(row.offer.as_malformed().is_some()),
            Outcome::Alert(70) => assert!(h2 && only_1_3 && !backend.tls_1_3),
            other => panic!("{} by {}: {other}", row.offer, row.client),
        }
    }
}

#[test]
fn the_rows_of_both_backends_are_equal() {
    let [rustls, native_tls] = [RUSTLS, NATIVE_TLS].map(|backend| {
        let server = start(backend);
        report(server.addr)
    });
    let comparable = |report: &Report| -> Vec<_> {
        let rows = report.rows.iter();
        // native-tls has no TLS 1.3 as a server.
        rows.filter(|row| row.offer.version() != Some(TlsVersion::TLS_1_3))
            .map(|row| {
                let outcome = match row.outcome.clone() {
                    Outcome::Negotiated {
                        alpn_protocol,
                        http2,
                        ..
                    } => Ok((alpn_protocol, http2)),
                    other => Err(other),
                };
                (row.client, row.offer.clone(), outcome, row.verdict.clone())
            })
            .collect()
    };
    assert_eq!(comparable(&rustls), comparable(&native_tls));
    assert!(!comparable(&rustls).is_empty());
}

fn rules_hold_and_a_broken_one_is_caught(backend: Backend) {
    let server = start(backend);
    let rules = [
        "h2",
        "http/1.1,h2=h2",
        "http/1.1=alert:120",
        "none=alert:120",
        "malformed=alert:50",
    ];
    assert_alpn(server.addr, "localhost", &rules);
    // One that is not among the defaults.
    assert_alpn(server.addr, "localhost", &["spdy/3,h2=h2", "spdy/3=alert"]);
    let addr = server.addr;
    for (rule, row) in [
        (
            "h2,http/1.1=http/1.1",
            "h2,http/1.1 offered by rustls: expected http/1.1, got h2, TLS 1.",
        ),
        (
            "http/1.1=none",
            "http/1.1 offered by native-tls: expected a handshake without ALPN, got alert 120",
        ),
        (
            "malformed=close",
            "malformed: empty list offered by raw: expected a close",
        ),
        ("nonsense=", "a name of no bytes"),
        ("h2=alert", "h2=h2 and h2=alert contradict"),
    ] {
        let panic = catch_unwind(|| assert_alpn(addr, "localhost", &["h2", rule])).expect_err(rule);
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains(row), "{message}");
        let table = [
            "client",
            "offer",
            "alert 120 no_application_protocol",
            "GET 200",
        ];
        if !matches!(rule, "nonsense=" | "h2=alert") {
            assert!(table.iter().all(|cell| message.contains(cell)), "{message}");
        }
    }
}

fn http_2_without_alpn_is_seen(backend: Backend) {
    let server = TestServer::with(
        backend.acceptor(),
        Driver::Epoll,
        |builder| builder.alpn_missing(AlpnMissing::Allow),
        |_| service_fn(never),
    );
    let report = report(server.addr);
    assert!(holds(&report, "none=h2"));
    assert!(holds(&report, "none=none"));
    assert!(rows(&report, "none").all(|row| row.verdict == Verdict::Conforms));
}

fn certificates_are_looked_at(backend: Backend) {
    let server = start(backend);
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
        assert!(report.is_reachable() && report.rows.len() == 2);
        for row in &report.rows {
            assert!(matches!(row.outcome, Outcome::Untrusted(_)), "{report}");
            assert_eq!(row.verdict, Verdict::NotJudged);
        }
    }
    assert!(holds(&ask("other.example", Trust::Any), "h2"));
}

/// As `openssl req -x509` makes them by default: no client is to be stricter than the other.
#[test]
fn a_given_certificate_with_the_mark_of_an_authority_is_trusted() {
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
        let identity = corelane::tls::Identity::from_pem(pem.as_str(), key.as_str());
        let config = corelane::tls::TlsConfig::new(identity.expect("PEM"));
        let acceptor = (RUSTLS.make)(&config).expect("an acceptor");
        let server = TestServer::start(acceptor, Driver::Epoll, |_| service_fn(never));
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

/// What the system trusts is said by SSL_CERT_FILE, to a process of its own.
#[test]
fn the_systems_certificates_are_trusted() {
    const SERVER: &str = "CORELANE_TEST_SERVER";
    if let Ok(addr) = std::env::var(SERVER) {
        let mut options = options(Trust::System);
        options.offers = vec![Offer::defaults().remove(0)];
        let addr = addr.parse().expect("an address");
        let report = probe_blocking(addr, "localhost", &options).expect("a report");
        assert!(holds(&report, "h2"), "{report}");
        return;
    }
    let server = start(RUSTLS);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &CERTIFICATE.pem).expect("written");
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "the_systems_certificates_are_trusted",
            "--nocapture",
        ])
        .env(SERVER, server.addr.to_string())
        .env("SSL_CERT_FILE", file.path())
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("run again");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_is_wrong_with_the_question_is_an_error() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    for (name, trust) in [
        ("localhost:443", Trust::Any),
        ("", Trust::Any),
        ("localhost", Trust::Pem(b"nonsense".to_vec())),
        (
            "localhost",
            Trust::Pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
        ),
    ] {
        for client in [Client::Rustls, Client::NativeTls] {
            let mut options = options(trust.clone());
            options.clients = vec![client];
            let error = probe_blocking(addr, name, &options).expect_err(name);
            assert!(error.is_config(), "{error}");
        }
    }
}

#[test]
fn it_runs_in_a_runtime_of_the_callers() {
    let server = start(RUSTLS);
    let options = options(Trust::Any);
    let ask = probe(server.addr, "localhost", &options);
    let report = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .enable_timer()
        .build()
        .expect("a runtime")
        .block_on(ask)
        .expect("a report");
    assert!(holds(&report, "h2"));
    if Drivers::all().contains(&Driver::IoUring) {
        let report = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
            .enable_timer()
            .build()
            .expect("a runtime")
            .block_on(probe(server.addr, "localhost", &options))
            .expect("a report");
        assert!(holds(&report, "h2"));
    }
    let without_timer = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .build()
        .expect("a runtime")
        .block_on(probe(server.addr, "localhost", &options));
    assert!(without_timer.expect_err("no timer").is_config());
}

#[test]
fn an_offer_that_nobody_can_make_is_said_to_be_so() {
    let server = start(RUSTLS);
    let mut options = options(Trust::Any);
    let tls_1_1 = || Offer::new([corelane::ProtocolName::H2]).only(TlsVersion(0x0302));
    options.offers = vec![Offer::none(), tls_1_1()];
    options.clients = vec![Client::Raw];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert_eq!(report.rows.len(), 2);
    assert!(!report.is_reachable());
    for row in &report.rows {
        assert!(matches!(row.outcome, Outcome::Unsupported(_)), "{report}");
        assert_eq!(row.verdict, Verdict::NotJudged);
    }
    // One of them can; the other is not asked.
    options.clients = vec![Client::Rustls, Client::Raw];
    options.offers = vec![Offer::none()];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert_eq!(report.rows.len(), 1);
}

#[test]
fn h2_advertised_and_not_served_is_caught() {
    let server = Faulty::tls(Some(servers::h2_or_alert), servers::http_1_1);
    let report = report(server.addr);
    assert!(!holds(&report, "h2"));
    assert!(holds(&report, "http/1.1=alert:120"));
    assert_eq!(h2_rows(&report).count(), 12);
    for row in h2_rows(&report) {
        assert_violates(row, "RFC 9113");
        let Outcome::Negotiated { http2, .. } = &row.outcome else {
            panic!("{report}");
        };
        let said = Http2::NotServed("HTTP/1.1 400 Bad Request".into());
        assert_eq!(*http2, Some(said));
    }
    assert!(
        report
            .to_string()
            .contains("HTTP/2 NOT SERVED: HTTP/1.1 400")
    );
}

#[test]
fn what_comes_instead_of_http_2_is_told() {
    for (serve, what) in [
        (
            servers::wait as fn(&mut dyn servers::Stream),
            "no answer within 500ms",
        ),
        (servers::goaway, "GOAWAY 12 INADEQUATE_SECURITY (bye\\x1b)"),
        (servers::close, "closed"),
    ] {
        let server = Faulty::tls(Some(servers::h2_or_alert), serve);
        let report = hasty_report(server.addr);
        for row in h2_rows(&report) {
            assert_violates(row, "RFC 9113");
            match http2(row) {
                Http2::NotServed(came) => assert!(came.contains(what), "{came}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// It speaks HTTP/2: why there is no answer to a GET is another matter.
#[test]
fn http_2_without_an_answer_is_no_fault_of_alpn() {
    // Long enough for the handshake on a busy machine, and one offer for it: each takes that long.
    let mut patient = options(Trust::Any);
    patient.timeout = Duration::from_secs(2);
    patient.offers.truncate(1);
    let silent = Faulty::tls(Some(servers::h2_or_alert), servers::only_settings);
    let nothing = probe_blocking(silent.addr, "localhost", &patient).expect("a report");
    assert_http_2_without_an_answer(&nothing, "no answer within 2s");
    for (serve, what) in [
        (
            servers::flood as fn(&mut dyn servers::Stream),
            "no answer within 65536 bytes",
        ),
        (servers::settings_then_goaway, "GOAWAY 0 NO_ERROR (later"),
        (servers::settings_then_reset, "RST_STREAM 7 REFUSED_STREAM"),
        (servers::settings_then_close, "closed"),
        (servers::odd_status, "the status 999"),
    ] {
        let server = Faulty::tls(Some(servers::h2_or_alert), serve);
        assert_http_2_without_an_answer(&report(server.addr), what);
    }
}

fn assert_http_2_without_an_answer(report: &Report, what: &str) {
    for row in h2_rows(report) {
        assert_eq!(row.verdict, Verdict::NotJudged);
        match http2(row) {
            Http2::Spoken(came) => assert!(came.contains(what) && came.len() < 120, "{came}"),
            other => panic!("{other:?}"),
        }
    }
    let wrong = "h2".parse::<Expectation>().expect("a rule");
    let wrong = wrong.check_report(report);
    assert!(wrong[0].contains("expected h2 to be served"), "{wrong:?}");
    assert!(wrong[0].contains("GET not answered"), "{wrong:?}");
}

fn http2(row: &Row) -> &Http2 {
    match &row.outcome {
        Outcome::Negotiated {
            http2: Some(http2), ..
        } => http2,
        other => panic!("{other}"),
    }
}

#[test]
fn a_silent_fallback_is_caught() {
    let server = Faulty::tls(Some(servers::h2_or_nothing), servers::h2);
    let report = report(server.addr);
    assert!(holds(&report, "h2"));
    assert!(h2_rows(&report).all(|row| row.verdict == Verdict::Conforms));
    for offer in ["http/1.1", "x-unknown"] {
        assert!(!holds(&report, &format!("{offer}=alert:120")));
        assert!(holds(&report, &format!("{offer}=none")));
        rows(&report, offer).for_each(|row| assert_violates(row, "RFC 7301 section 3.2"));
    }
    assert!(rows(&report, "none").all(|row| row.verdict == Verdict::Conforms));
    assert_eq!(report.note(), None);
}

#[test]
fn a_server_without_alpn_conforms() {
    let server = Faulty::tls(None, servers::http_1_1);
    let report = report(server.addr);
    assert!(report.note().expect("a note").contains("ignores ALPN"));
    assert!(report.to_string().contains("ignores ALPN"));
    for row in report.rows.iter().filter(|row| row.client != Client::Raw) {
        assert_eq!(row.verdict, Verdict::Conforms, "{report}");
    }
    assert!(holds(&report, "h2=none"));
    assert!(!holds(&report, "none=h2"));
}

/// HTTP/2 that nobody promised is not waited for.
#[test]
fn a_server_of_something_else_is_not_waited_for() {
    let server = Faulty::tls(None, servers::wait);
    let report = report(server.addr);
    for row in rows(&report, "none") {
        assert_eq!(row.verdict, Verdict::Conforms);
        assert!(row.time < Duration::from_secs(4), "{:?}", row.time);
    }
}

#[test]
fn a_protocol_that_was_not_offered_is_caught() {
    let server = Faulty::tls(Some(servers::always_http_1_1), servers::http_1_1);
    let report = report(server.addr);
    for offer in ["h2", "x-unknown", "h2 (TLS 1.2)", "h2 (TLS 1.3)"] {
        for row in rows(&report, offer) {
            assert!(matches!(row.verdict, Verdict::Violates(_)), "{report}");
        }
    }
    assert!(holds(&report, "http/1.1"));
}

/// rustls sends the alert behind its ServerHello, so that it is encrypted under TLS 1.3.
#[test]
fn an_encrypted_alert_is_read_by_those_who_can() {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(
            vec![CERTIFICATE.der.clone().into()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(pem_to_der(&CERTIFICATE.key)).into(),
        )
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    let server = Faulty::start(move |socket| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, socket);
        servers::h2(&mut stream);
    });
    let report = report(server.addr);
    for rule in [
        "h2",
        "http/1.1=alert:120",
        "x-unknown=alert:120",
        "malformed=alert",
        "h2 (TLS 1.2)=alert:70",
    ] {
        assert!(holds(&report, rule), "{rule}");
    }
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    let key = openssl::pkey::PKey::private_key_from_pem(pem.as_bytes()).expect("PEM");
    key.private_key_to_pkcs8().expect("PKCS#8")
}

#[test]
fn what_is_malformed_and_negotiated_is_caught() {
    let server = Faulty::start(|mut socket| {
        let mut hello = [0; 4096];
        let n = socket.read(&mut hello).unwrap_or(0);
        let flight = [&servers::server_hello(false)[..], servers::HELLO_DONE].concat();
        let _ = socket.write_all(&flight);
        if !servers::is_by_hand(&hello[..n]) {
            return;
        }
        let _ = socket.read(&mut hello);
    });
    let report = report(server.addr);
    for row in malformed_rows(&report) {
        assert_violates(row, "negotiated on a malformed offer");
        match &row.outcome {
            Outcome::Negotiated { alpn_protocol, .. } => {
                assert_eq!(*alpn_protocol, Some(corelane::ProtocolName::H2));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(malformed_rows(&report).count(), 5);
}

#[test]
fn what_is_malformed_and_waited_on_is_caught() {
    let acceptor = servers::acceptor(Some(servers::h2_or_alert), None);
    let server = Faulty::start(move |mut socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        match servers::is_by_hand(&hello[..n]) {
            true => servers::wait(&mut socket),
            false => drop(
                acceptor
                    .accept(socket)
                    .map(|mut stream| servers::h2(&mut stream)),
            ),
        }
    });
    let report = hasty_report(server.addr);
    assert!(holds(&report, "h2"));
    for row in malformed_rows(&report) {
        assert_eq!(row.outcome, Outcome::TimedOut);
        assert_violates(row, "no answer to a malformed offer");
    }
}

/// By a server that has TLS 1.2 too the alert can be had in the clear.
#[test]
fn an_encrypted_alert_is_asked_for_again_under_tls_1_2() {
    const SEALED_ALERT: [u8; 24] = {
        let mut record = [7; 24];
        [record[0], record[1], record[2], record[3], record[4]] = [23, 3, 3, 0, 19];
        record
    };
    for (below, outcome) in [(120, Outcome::Alert(120)), (70, Outcome::Encrypted)] {
        let server = Faulty::start(move |mut socket| {
            let mut hello = [0; 4096];
            let n = socket.read(&mut hello).unwrap_or(0);
            let answer = match servers::offers_tls_1_3(&hello[..n]) {
                true => [&servers::server_hello(true)[..], &SEALED_ALERT].concat(),
                false => vec![21, 3, 3, 0, 2, 2, below],
            };
            // In the smallest of pieces.
            for byte in answer {
                let _ = socket.write_all(&[byte]);
            }
        });
        let mut options = options(Trust::Any);
        options.clients = vec![Client::Raw];
        let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
        // What cannot be read may be anything.
        assert_eq!(holds(&report, "malformed=alert"), below == 120);
        for row in malformed_rows(&report) {
            assert_eq!(row.outcome, outcome, "{report}");
            let judged = row.verdict == Verdict::Conforms;
            assert_eq!(judged, below == 120);
        }
    }
}

/// A HelloRetryRequest says nothing of ALPN, and there is no second ClientHello made by hand.
#[test]
fn a_server_that_wants_another_key_share_is_asked_under_tls_1_2() {
    for (below, judged) in [(50, true), (70, false)] {
        let server = Faulty::start(move |mut socket| {
            let mut hello = [0; 4096];
            let n = socket.read(&mut hello).unwrap_or(0);
            let _ = socket.write_all(&match servers::offers_tls_1_3(&hello[..n]) {
                true => servers::hello_retry_request(),
                false => vec![21, 3, 3, 0, 2, 2, below],
            });
            servers::wait(&mut socket);
        });
        let mut options = options(Trust::Any);
        options.clients = vec![Client::Raw];
        let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
        for row in malformed_rows(&report) {
            match &row.outcome {
                Outcome::Alert(50) if judged => assert_eq!(row.verdict, Verdict::Conforms),
                Outcome::Unsupported(why) if !judged => {
                    assert!(why.contains("HelloRetryRequest"), "{report}");
                    assert_eq!(row.verdict, Verdict::NotJudged);
                }
                _ => panic!("{report}"),
            }
        }
    }
}

#[test]
fn a_server_that_never_answers_is_left_in_time() {
    let server = Faulty::start(|mut socket| servers::wait(&mut socket));
    let begun = Instant::now();
    let report = hasty_report(server.addr);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(!report.is_reachable());
    let [row] = &report.rows[..] else {
        panic!("{report}");
    };
    assert_eq!(row.outcome, Outcome::TimedOut);
    assert_eq!(row.verdict, Verdict::NotJudged);
    assert!(row.time >= Duration::from_millis(500));
    // By hand, too.
    let mut options = options(Trust::Any);
    options.clients = vec![Client::Raw];
    options.timeout = Duration::from_millis(200);
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert!(!report.is_reachable());
}

#[test]
fn a_server_that_closes_is_there() {
    let server = Faulty::start(|mut socket| servers::close(&mut socket));
    let report = report(server.addr);
    assert!(report.is_reachable());
    assert!(report.rows.iter().all(|row| row.outcome == Outcome::Closed));
    assert!(holds(&report, "h2=close"));
    // That says nothing about what is malformed.
    let judged = |row: &Row| row.verdict != Verdict::NotJudged;
    assert!(!report.rows.iter().any(judged), "{report}");
    // A reset is no other thing.
    let server = Faulty::start(|socket| {
        let _ = socket.peek(&mut [0; 1]);
    });
    let report = self::report(server.addr);
    assert!(report.rows.iter().all(|row| row.outcome == Outcome::Closed));
}

#[test]
fn a_port_without_tls_is_no_server() {
    for banner in ["HTTP/1.1 400 Bad Request", "220 mail ESMTP"] {
        let server = Faulty::start(move |mut socket| {
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(format!("{banner}\r\nmore\r\n").as_bytes());
            servers::wait(&mut socket);
        });
        let report = hasty_report(server.addr);
        assert!(!report.is_reachable(), "{report}");
        for row in &report.rows {
            assert_eq!(row.outcome, Outcome::NotTls(banner.into()));
            assert_eq!(row.verdict, Verdict::NotJudged);
        }
        let note = report.note().expect("a note");
        assert!(note.contains(banner) && note.contains("STARTTLS"), "{note}");
    }
}

#[test]
fn nobody_there_is_known_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("an address");
    drop(listener);
    let report = report(addr);
    assert!(!report.is_reachable());
    let [row] = &report.rows[..] else {
        panic!("{report}");
    };
    assert!(matches!(row.outcome, Outcome::Unreachable(_)), "{report}");
    let panic = catch_unwind(|| assert_alpn(addr, "localhost", &["h2"])).expect_err("nobody");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("nobody answers"), "{message}");
}

#[test]
fn over_ipv6() {
    let acceptor = servers::acceptor(Some(servers::h2_or_alert), None);
    let serve = move |socket| {
        drop(
            acceptor
                .accept(socket)
                .map(|mut stream| servers::h2(&mut stream)),
        )
    };
    let Ok(server) = Faulty::on(Ipv6Addr::LOCALHOST.into(), serve) else {
        eprintln!("NOT TESTED over IPv6: there is none");
        return;
    };
    for name in ["::1", "[::1]", "localhost"] {
        let report = probe_blocking(server.addr, name, &options(Trust::Any)).expect("a report");
        assert!(holds(&report, "h2"), "{report}");
    }
}
