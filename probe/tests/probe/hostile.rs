//! Servers that mean harm, or that are easily wronged.

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

use corelane::{
    ProtocolName,
    probe::{Client, Http2, Offer, Outcome, Report, Trust, Verdict, probe_blocking},
    tls::TlsVersion,
};
use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    pkey::PKey,
    rsa::Rsa,
    ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion},
    x509::{X509, X509NameBuilder},
};

use super::{
    common::certs::CERTIFICATE,
    h2_rows, hasty_report, holds, http2, malformed_rows, options, report, rows,
    servers::{self, Faulty},
};

/// One offer of h2 by each TLS client.
fn asked_for_h2(server: &Faulty, timeout: Duration) -> Report {
    let mut options = options(Trust::Any);
    options.offers = vec![Offer::new([ProtocolName::H2])];
    options.timeout = timeout;
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    println!("{report}");
    assert_eq!(report.rows.len(), 2);
    report
}

/// The time-out comes while an answer is being written.
#[test]
fn a_server_that_does_not_read_is_left_in_time() {
    let acceptor = servers::acceptor(Some(servers::h2_or_alert), None);
    // Until the test is over.
    let (over, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let server = Faulty::with_small_windows(move |socket| {
        let Ok(mut stream) = acceptor.accept(socket) else {
            return;
        };
        servers::pings(&mut stream);
        let _ = ended.lock().map(|ended| ended.recv());
    });
    let report = asked_for_h2(&server, Duration::from_secs(1));
    for row in &report.rows {
        let spoken = Http2::Spoken("no answer within 1s".into());
        assert_eq!(*http2(row), spoken, "{report}");
    }
    drop(over);
}

/// More of TLS's own messages than anyone needs, and no answer before their end.
#[test]
fn a_server_that_never_comes_to_the_point_is_left() {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CERTIFICATE.der.clone().into()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(super::pem_to_der(&CERTIFICATE.key)).into(),
        )
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 30_000;
    let config = Arc::new(config);
    let server = Faulty::start(move |socket| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, socket);
        servers::h2(&mut stream);
    });
    let begun = Instant::now();
    let report = asked_for_h2(&server, Duration::from_secs(30));
    for row in &report.rows {
        let Http2::NotServed(why) = http2(row) else {
            panic!("{report}");
        };
        // rustls has a limit of its own.
        let own = row.client == Client::Rustls && why == "message buffer full";
        assert!(own || why == "no end to what TLS says for itself", "{why}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// A certificate holds what its maker likes.
#[test]
fn names_in_a_certificate_are_shown_in_one_line() {
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
    let server = Faulty::start(move |socket| drop(acceptor.accept(socket)));
    // The issuer is right, the name is not.
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
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(!table.contains(['\x1b', '\x07']));
}

#[test]
fn a_server_that_wants_certificates_of_clients_is_not_accused() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL");
        let certificate = X509::from_pem(CERTIFICATE.pem.as_bytes()).expect("PEM");
        acceptor.set_certificate(&certificate).expect("certificate");
        let key = PKey::private_key_from_pem(CERTIFICATE.key.as_bytes()).expect("PEM");
        acceptor.set_private_key(&key).expect("its key");
        acceptor.set_max_proto_version(Some(version)).expect("it");
        acceptor.set_alpn_select_callback(servers::h2_or_alert);
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        let acceptor = acceptor.build();
        let server = Faulty::start(move |socket| drop(acceptor.accept(socket)));
        let report = report(server.addr);
        let alert = match version {
            SslVersion::TLS1_3 => 116,
            _ => 40,
        };
        for offer in ["h2", "h2,http/1.1", "none"] {
            for row in rows(&report, offer) {
                assert_eq!(row.outcome, Outcome::Alert(alert), "{report}");
                assert_eq!(row.verdict, Verdict::NotJudged);
            }
        }
        assert!(holds(&report, "x-unknown=alert:120"));
    }
}

/// Reads the ClientHello, answers these bytes and closes.
fn answers(bytes: Vec<u8>) -> Faulty {
    Faulty::start(move |mut socket| {
        let _ = socket.read(&mut [0; 4096]);
        let _ = socket.write_all(&bytes);
    })
}

/// What each client says to a server that always answers these bytes.
fn outcomes(bytes: &[&[u8]]) -> Vec<(Client, Outcome, Verdict)> {
    let server = answers(bytes.concat());
    let report = hasty_report(server.addr);
    let rows = report.rows.into_iter();
    rows.map(|row| (row.client, row.outcome, row.verdict))
        .collect()
}

const ALERT_120: &[u8] = &[21, 3, 3, 0, 2, 2, 120];

#[test]
fn what_is_rejected_before_an_alert_is_not_hidden_by_it() {
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
fn a_server_without_tls_1_2_is_not_accused() {
    let mut hello = servers::server_hello(false);
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

/// A ServerHello alone takes no offer.
#[test]
fn a_server_that_stops_halfway_has_closed() {
    for tls_1_3 in [false, true] {
        for (client, outcome, _) in outcomes(&[&servers::server_hello(tls_1_3)]) {
            if client == Client::Raw {
                assert_eq!(outcome, Outcome::Closed);
            }
        }
    }
}

/// Under TLS 1.2 the alert may come behind the ServerHello, in a write of its own.
#[test]
fn an_alert_behind_the_server_hello_is_waited_for() {
    let server = Faulty::start(|mut socket| {
        let mut hello = [0; 4096];
        let _ = socket.read(&mut hello);
        let _ = socket.write_all(&servers::server_hello(false));
        socket.set_nodelay(true).expect("an option");
        let _ = socket.write_all(&[21, 3, 3, 0, 2, 2, 50]);
    });
    let report = hasty_report(server.addr);
    for row in malformed_rows(&report) {
        assert_eq!(row.outcome, Outcome::Alert(50), "{report}");
        assert_eq!(row.verdict, Verdict::Conforms);
    }
}

/// What a server encrypts that has TLS 1.3 only is an answer that was taken when it is too long
/// for an alert.
#[test]
fn a_long_flight_under_tls_1_3_is_no_alert() {
    for (length, negotiated) in [(100_u16, false), (2000, true)] {
        let mut flight = servers::server_hello(true);
        flight.extend([23, 3, 3]);
        flight.extend(length.to_be_bytes());
        flight.extend(vec![7; usize::from(length)]);
        let flight = Arc::new(flight);
        let server = Faulty::start(move |mut socket| {
            let mut hello = [0; 4096];
            let n = socket.read(&mut hello).unwrap_or(0);
            let _ = match servers::offers_tls_1_3(&hello[..n]) {
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
fn a_reset_is_a_close() {
    let server = Faulty::start(|socket| {
        // With the ClientHello read, and not.
        let _ = socket.peek(&mut [0; 4096]);
        reset(socket);
    });
    let report = report(server.addr);
    let closed = |row: &corelane::probe::Row| row.outcome == Outcome::Closed;
    assert!(report.rows.iter().all(closed), "{report}");
}

/// It drops every other connection; the answer counts.
#[test]
fn a_connection_that_is_dropped_once_is_made_again() {
    let acceptor = servers::acceptor(Some(servers::h2_or_alert), None);
    let asked = AtomicUsize::new(0);
    let server = Faulty::start(move |mut socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        if !servers::is_by_hand(&hello[..n]) {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| servers::h2(&mut stream)));
        } else if asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            reset(socket);
        } else {
            let _ = socket.write_all(&[21, 3, 3, 0, 2, 2, 50]);
            servers::wait(&mut socket);
        }
    });
    let report = report(server.addr);
    for row in malformed_rows(&report) {
        assert_eq!(row.outcome, Outcome::Alert(50), "{report}");
    }
    // One that always drops them is caught.
    let acceptor = servers::acceptor(Some(servers::h2_or_alert), None);
    let server = Faulty::start(move |socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        if !servers::is_by_hand(&hello[..n]) {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| servers::h2(&mut stream)));
        }
    });
    let report = super::report(server.addr);
    malformed_rows(&report)
        .for_each(|row| super::assert_violates(row, "closed on a malformed offer"));
}

/// An older server that closes where it should say that it has no TLS 1.3.
#[test]
fn a_version_that_is_not_there_is_no_missing_alert() {
    let acceptor = servers::acceptor(Some(servers::always_http_1_1), Some(SslVersion::TLS1_2));
    let server = Faulty::start(move |socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        // supported_versions with TLS 1.3 alone.
        let only_1_3 = b"\0\x2b\0\x03\x02\x03\x04";
        if !hello[..n].windows(7).any(|bytes| bytes == only_1_3) {
            let accepted = acceptor.accept(socket);
            drop(accepted.map(|mut stream| servers::http_1_1(&mut stream)));
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
fn any_certificate_means_any() {
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
    acceptor.set_alpn_select_callback(servers::h2_or_alert);
    let acceptor = acceptor.build();
    let server = Faulty::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| servers::h2(&mut stream)));
    });
    let report = report(server.addr);
    for row in h2_rows(&report) {
        assert_eq!(*http2(row), Http2::Served(200), "{report}");
    }
}

/// A server that stalls after the first answer costs no time-out for each offer.
#[test]
fn a_server_that_stalls_is_not_asked_for_ever() {
    let acceptor = servers::acceptor(Some(servers::h2_or_alert), None);
    let asked = AtomicUsize::new(0);
    let server = Faulty::start(move |mut socket| {
        if asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return servers::wait(&mut socket);
        }
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| servers::h2(&mut stream)));
    });
    let report = hasty_report(server.addr);
    assert!(report.is_reachable());
    assert_eq!(report.rows.len(), 4, "{report}");
    assert!(report.note().is_some_and(|note| note.contains("stopped")));
}
