//! Servers that attack the prober, and servers that a careless prober would judge wrongly.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use corelane::{ProtocolName, tls::TlsVersion};
use corelane_probe::{Client, Http2, Offer, Outcome, Report, Row, Trust, Verdict, probe_blocking};
use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    pkey::PKey,
    rsa::Rsa,
    ssl::{SslAcceptor, SslMethod, SslVersion},
    x509::{X509, X509NameBuilder},
};
use rustls::version::{TLS12, TLS13};

use crate::{
    ask::{
        assert_violates, h2_rows, hasty_report, http2, libraries, malformed_rows, options, report,
        rows,
    },
    server::{self, TestServer},
};

/// One offer of h2 by each TLS client.
fn asked_for_h2(server: &TestServer, timeout: Duration) -> Report {
    let mut options = options(Trust::Any);
    options.offers = vec![Offer::new([ProtocolName::H2])];
    options.timeout = timeout;
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    assert_eq!(report.rows.len(), libraries().len());
    report
}

/// The time-out passes while the client writes.
#[test]
fn a_server_that_does_not_read_times_out() {
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    // Holds the connection until the test is over.
    let (over, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let server = TestServer::with_small_windows(move |socket| {
        let Ok(mut stream) = acceptor.accept(socket) else {
            return;
        };
        server::pings(&mut stream);
        let _ = ended.lock().map(|ended| ended.recv());
    });
    let report = asked_for_h2(&server, Duration::from_secs(1));
    for row in &report.rows {
        match http2(row) {
            Http2::Spoken(why) => assert!(why.starts_with("no answer within "), "{why}"),
            _ => panic!("{report}"),
        }
    }
    drop(over);
}

/// Thirty thousand tickets before the first byte of HTTP/2.
#[test]
fn a_server_that_sends_tickets_without_an_end_is_given_up() {
    let versions = [&TLS13, &TLS12];
    let server = server::rustls(&versions, 30_000, |stream| server::h2(stream));
    let begun = Instant::now();
    let report = asked_for_h2(&server, Duration::from_secs(30));
    for row in &report.rows {
        let Http2::Incompatible(why) = http2(row) else {
            panic!("{report}");
        };
        // rustls has its own limit.
        let own = row.client == Client::Rustls && why == "message buffer full";
        assert!(own || why == "no end to TLS's own messages", "{why}");
        // Another client may read more.
        assert_eq!(row.verdict, Verdict::NotJudged);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// A certificate holds arbitrary names.
#[test]
fn names_in_a_certificate_are_escaped() {
    const EVIL: &str = "a\x1b[2J\x07\n::error::b";
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    let name = rcgen::SanType::DnsName(EVIL.try_into().expect("ASCII"));
    params.subject_alt_names = vec![name];
    let certificate = params.self_signed(&key).expect("a certificate");
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL");
    let own = X509::from_der(certificate.der()).expect("DER");
    acceptor.set_certificate(&own).expect("certificate");
    let own = PKey::private_key_from_pem(key.serialize_pem().as_bytes()).expect("PEM");
    acceptor.set_private_key(&own).expect("its key");
    let acceptor = acceptor.build();
    let server = TestServer::start(move |socket| drop(acceptor.accept(socket)));
    // The issuer is trusted, the name is wrong.
    let mut options = options(Trust::Pem(certificate.pem().into()));
    options.offers = vec![Offer::none()];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    for row in &report.rows {
        let Outcome::Untrusted(why) = &row.outcome else {
            panic!("{report}");
        };
        assert!(why.bytes().all(|b| (b' '..=b'~').contains(&b)), "{why:?}");
        assert!(why.len() < 400);
    }
    let table = report.to_string();
    assert_eq!(table.lines().count(), 3 + libraries().len(), "{table}");
    assert!(!table.contains(['\x1b', '\x07']));
}

/// Reads the ClientHello, answers these bytes and closes.
fn answers(bytes: Vec<u8>) -> TestServer {
    TestServer::start(move |mut socket| {
        let _ = socket.read(&mut [0; 4096]);
        let _ = socket.write_all(&bytes);
    })
}

/// The rows of a server that always answers these bytes.
fn outcomes(bytes: &[&[u8]]) -> Vec<(Client, Outcome, Verdict)> {
    let server = answers(bytes.concat());
    let report = hasty_report(server.addr);
    let rows = report.rows.into_iter();
    rows.map(|row| (row.client, row.outcome, row.verdict))
        .collect()
}

const ALERT_120: &[u8] = &[21, 3, 3, 0, 2, 2, 120];

#[test]
fn an_invalid_answer_counts_before_a_later_alert() {
    let rubbish = b"\x16\x03\x03\0\x04\xff\0\0\0";
    for (client, outcome, verdict) in outcomes(&[rubbish, ALERT_120]) {
        if client != Client::Raw {
            assert!(
                matches!(outcome, Outcome::Invalid(_)),
                "{client}: {outcome}"
            );
            assert!(matches!(verdict, Verdict::Violates(_)), "{client}");
        }
    }
}

#[test]
fn a_server_without_tls_1_2_is_not_judged() {
    let mut hello = server::server_hello(false);
    // TLS 1.1 and a suite that it has.
    (hello[2], hello[10]) = (2, 2);
    let suite = 5 + 4 + 2 + 32 + 1;
    hello[suite..suite + 2].copy_from_slice(&[0xc0, 0x13]);
    for (client, outcome, verdict) in outcomes(&[&hello]) {
        let Outcome::Incompatible(why) = outcome else {
            panic!("{client}: {outcome}");
        };
        assert!(why.contains("TLS 1.1"), "{why}");
        assert_eq!(verdict, Verdict::NotJudged);
    }
}

/// A ServerHello alone does not accept the offer.
#[test]
fn a_server_hello_alone_is_a_close() {
    for tls_1_3 in [false, true] {
        for (client, outcome, _) in outcomes(&[&server::server_hello(tls_1_3)]) {
            if client == Client::Raw {
                assert_eq!(outcome, Outcome::Closed);
            }
        }
    }
}

/// Under TLS 1.2 the alert may come after the ServerHello, in a separate write.
#[test]
fn waits_for_an_alert_behind_the_server_hello() {
    let server = TestServer::start(|mut socket| {
        let mut hello = [0; 4096];
        let _ = socket.read(&mut hello);
        let _ = socket.write_all(&server::server_hello(false));
        socket.set_nodelay(true).expect("an option");
        let _ = socket.write_all(&[21, 3, 3, 0, 2, 2, 50]);
    });
    let report = hasty_report(server.addr);
    for row in malformed_rows(&report) {
        assert_eq!(row.outcome, Outcome::Alert(50), "{report}");
        assert_eq!(row.verdict, Verdict::Conforms);
    }
}

/// An encrypted answer that is too long for an alert accepts the offer.
#[test]
fn a_long_flight_under_tls_1_3_is_negotiated() {
    for (length, negotiated) in [(100_u16, false), (2000, true)] {
        let mut flight = server::server_hello(true);
        flight.extend([23, 3, 3]);
        flight.extend(length.to_be_bytes());
        flight.extend(vec![7; usize::from(length)]);
        let flight = Arc::new(flight);
        let server = TestServer::start(move |mut socket| {
            let mut hello = [0; 4096];
            let n = socket.read(&mut hello).unwrap_or(0);
            let _ = match server::offers_tls_1_3(&hello[..n]) {
                true => socket.write_all(&flight),
                false => socket.write_all(&[21, 3, 3, 0, 2, 2, 70]),
            };
        });
        let report = hasty_report(server.addr);
        for row in malformed_rows(&report) {
            match &row.outcome {
                Outcome::Negotiated { .. } => assert!(negotiated, "{report}"),
                Outcome::Encrypted => assert!(!negotiated, "{report}"),
                other => panic!("{other}"),
            }
            let violates = matches!(row.verdict, Verdict::Violates(_));
            assert_eq!(violates, negotiated);
        }
    }
}

fn reset(socket: TcpStream) {
    let socket = socket2::Socket::from(socket);
    let _ = socket.set_linger(Some(Duration::ZERO));
}

#[test]
fn reset_counts_as_close() {
    let server = TestServer::start(|socket| {
        // The ClientHello stays unread.
        let _ = socket.peek(&mut [0; 4096]);
        reset(socket);
    });
    let report = report(server.addr);
    let closed = |row: &Row| row.outcome == Outcome::Closed;
    assert!(report.rows.iter().all(closed), "{report}");
}

/// A server that drops every other connection: its answer counts.
#[test]
fn connects_again_after_one_drop() {
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let asked = AtomicUsize::new(0);
    let server = TestServer::start(move |mut socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        if !server::is_raw(&hello[..n]) {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| server::h2(&mut stream)));
        } else if asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            reset(socket);
        } else {
            let _ = socket.write_all(&[21, 3, 3, 0, 2, 2, 50]);
            server::wait(&mut socket);
        }
    });
    let report = report(server.addr);
    for row in malformed_rows(&report) {
        assert_eq!(row.outcome, Outcome::Alert(50), "{report}");
    }
    // A server that always drops them violates.
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let server = TestServer::start(move |socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        if !server::is_raw(&hello[..n]) {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| server::h2(&mut stream)));
        }
    });
    let report = crate::ask::report(server.addr);
    malformed_rows(&report).for_each(|row| assert_violates(row, "closed on a malformed offer"));
}

/// An older server that closes instead of sending protocol_version.
#[test]
fn a_close_for_a_missing_version_is_not_judged() {
    let acceptor = server::acceptor(Some(server::always_http_1_1), Some(SslVersion::TLS1_2));
    let server = TestServer::start(move |socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        // supported_versions with TLS 1.3 alone.
        let only_1_3 = b"\0\x2b\0\x03\x02\x03\x04";
        if !hello[..n].windows(7).any(|bytes| bytes == only_1_3) {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| server::http_1_1(&mut stream)));
        }
    });
    let report = report(server.addr);
    for row in rows(&report, "h2 (TLS 1.3)") {
        assert_eq!(row.outcome, Outcome::Closed, "{report}");
        assert_eq!(row.verdict, Verdict::NotJudged);
        assert_eq!(row.offer.version(), Some(TlsVersion::TLS_1_3));
    }
}

/// A certificate of version 1, which webpki does not read.
#[test]
fn trust_any_accepts_a_version_1_certificate() {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "v1").expect("a name");
    let name = name.build();
    let mut certificate = X509::builder().expect("a certificate");
    certificate.set_version(0).expect("version 1");
    certificate.set_subject_name(&name).expect("a subject");
    certificate.set_issuer_name(&name).expect("an issuer");
    certificate.set_pubkey(&key).expect("a key");
    let (from, to) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
    certificate
        .set_not_before(&from.expect("a time"))
        .expect("a time");
    certificate
        .set_not_after(&to.expect("a time"))
        .expect("a time");
    let sha256 = MessageDigest::sha256();
    certificate.sign(&key, sha256).expect("signed");
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL");
    acceptor
        .set_certificate(&certificate.build())
        .expect("a certificate");
    acceptor.set_private_key(&key).expect("its key");
    acceptor.set_alpn_select_callback(server::h2_or_alert);
    let acceptor = acceptor.build();
    let server = TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    });
    let report = report(server.addr);
    for row in h2_rows(&report) {
        assert_eq!(*http2(row), Http2::Served(200), "{report}");
    }
}

/// A server that stalls after the first answer.
#[test]
fn stops_after_three_time_outs() {
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let asked = AtomicUsize::new(0);
    let server = TestServer::start(move |mut socket| {
        if asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return server::wait(&mut socket);
        }
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    });
    let report = hasty_report(server.addr);
    assert!(report.is_reachable());
    assert_eq!(report.rows.len(), 4, "{report}");
    assert!(report.note().is_some_and(|note| note.contains("stopped")));
}
