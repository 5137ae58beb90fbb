//! Which protocol the server chooses.

use std::io::{Read, Write};

use corelane::ProtocolName;
use corelane_probe::{Client, Offer, Outcome, Trust, Verdict, probe_blocking};
use openssl::ssl::{AlpnError, select_next_proto};
use rustls::version::TLS13;

use crate::{
    ask::{assert_violates, h2_rows, holds, libraries, options, report, rows},
    certificate::CERTIFICATE,
    server::{self, TestServer},
};

#[test]
fn a_silent_fallback_violates() {
    let server = TestServer::tls(Some(server::h2_or_nothing), server::h2);
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
fn server_without_alpn_conforms() {
    let server = TestServer::tls(None, server::http_1_1);
    let report = report(server.addr);
    let note = report.note().expect("a note");
    assert!(note.contains("ignores ALPN"), "{note}");
    assert!(note.contains("none of the registered"), "{note}");
    assert!(report.to_string().contains("ignores ALPN"));
    for row in report.rows.iter().filter(|row| row.client != Client::Raw) {
        assert_eq!(row.verdict, Verdict::Conforms, "{report}");
    }
    assert!(holds(&report, "h2=none"));
    assert!(!holds(&report, "none=h2"));
}

#[test]
fn choosing_a_protocol_that_was_not_offered_violates() {
    let server = TestServer::tls(Some(server::always_http_1_1), server::http_1_1);
    let report = report(server.addr);
    for offer in ["h2", "x-unknown", "h2 (TLS 1.2)", "h2 (TLS 1.3)"] {
        for row in rows(&report, offer) {
            assert!(matches!(row.verdict, Verdict::Violates(_)), "{report}");
        }
    }
    assert!(holds(&report, "http/1.1"));
}

/// All clients call it the same, under each version.
#[test]
fn a_protocol_that_was_not_offered_has_the_same_words_by_each_client() {
    let server = TestServer::tls(Some(server::always_http_1_1), server::http_1_1);
    let report = report(server.addr);
    for (offer, words) in [
        ("h2", server::NOT_OFFERED),
        ("h2 (TLS 1.3)", server::NOT_OFFERED),
        // In the clear, so that the name can be read.
        (
            "h2 (TLS 1.2)",
            "chose http/1.1, which was not offered (RFC 7301 section 3.1)",
        ),
    ] {
        assert_eq!(rows(&report, offer).count(), libraries().len());
        for row in rows(&report, offer) {
            assert_eq!(row.outcome, Outcome::Invalid(words.into()), "{report}");
        }
    }
}

/// What the ServerHello shows, the clients call the same, whatever their libraries say.
#[test]
fn a_wrong_extension_has_the_same_words_by_each_client() {
    for (extension, offer, words) in [
        (
            &b"\0\x10\0\x05\0\x03\x02h2"[..],
            "http/1.1",
            "chose h2, which was not offered (RFC 7301 section 3.1)",
        ),
        (
            b"\0\x10\0\x05\0\x03\x02h2",
            "none",
            "chose h2, which was not offered (RFC 7301 section 3.1)",
        ),
        (
            b"\0\x10\0\x08\0\x06\x02h2\x02h3",
            "h2",
            "sent a malformed ALPN extension (RFC 7301 section 3.1)",
        ),
        (
            b"\0\x10\0\x05\0\x09\x02h2",
            "h2",
            "sent a malformed ALPN extension (RFC 7301 section 3.1)",
        ),
        (
            // max_fragment_length
            b"\0\x01\0\x01\x01",
            "h2",
            "sent an extension that was not requested (RFC 8446 section 4.2)",
        ),
    ] {
        let hello = server::tls_1_2_hello(extension);
        let server = TestServer::start(move |mut socket| {
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(&hello);
            server::wait(&mut socket);
        });
        let mut options = options(Trust::Any);
        options.offers.retain(|it| it.to_string() == offer);
        options.clients = libraries();
        let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
        println!("{report}");
        assert_eq!(report.rows.len(), libraries().len());
        for row in &report.rows {
            assert_eq!(row.outcome, Outcome::Invalid(words.into()), "{report}");
            assert!(matches!(row.verdict, Verdict::Violates(_)));
        }
    }
}

/// It knows one protocol, and completes the handshake silently for all others.
fn only<const N: usize>(known: &'static [u8; N]) -> TestServer {
    let mut acceptor = server::builder(&CERTIFICATE.pem, &CERTIFICATE.key);
    acceptor.set_alpn_select_callback(move |_, offered| {
        select_next_proto(known, offered).ok_or(AlpnError::NOACK)
    });
    let acceptor = acceptor.build();
    TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::http_1_1(&mut stream)));
    })
}

#[test]
fn a_server_that_knows_http_1_1_only_does_not_ignore_alpn() {
    let report = report(only(b"\x08http/1.1").addr);
    assert!(holds(&report, "http/1.1") && holds(&report, "h2=none"));
    rows(&report, "h2").for_each(|row| assert_violates(row, "RFC 7301 section 3.2"));
    let note = report.note().expect("a note");
    assert!(
        note.contains("knows ALPN, but not h2: it chose http/1.1"),
        "{note}"
    );
}

/// Found by offering the registered protocols.
#[test]
fn a_server_that_knows_another_protocol_only_does_not_ignore_alpn() {
    let report = report(only(b"\x04mqtt").addr);
    for offer in ["h2", "http/1.1", "x-unknown"] {
        assert!(holds(&report, &format!("{offer}=none")));
        rows(&report, offer).for_each(|row| assert_violates(row, "RFC 7301 section 3.2"));
    }
    let note = report.note().expect("a note");
    assert!(
        note.contains("knows ALPN, but not h2: it chose mqtt"),
        "{note}"
    );
    // One more offer by each client, and short in the table.
    let last: Vec<_> = report.rows.iter().rev().take(libraries().len()).collect();
    for row in &last {
        assert!(row.offer.protocols().len() > 30, "{report}");
        assert_eq!(row.verdict, Verdict::Conforms);
        // That name is for the validation of domains.
        assert!(!row.offer.to_string().contains("acme"));
    }
    assert!(
        report.to_string().lines().all(|line| line.len() < 160),
        "{report}"
    );

    // The same where fewer protocols were offered.
    let mut options = options(Trust::Any);
    options.offers.truncate(1);
    let server = only(b"\x08http/1.1");
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    let note = report.note().expect("a note");
    assert!(note.contains("it chose http/1.1"), "{note}");
}

#[test]
fn a_server_that_refuses_all_protocols_knows_alpn() {
    let server = TestServer::tls(Some(|_, _| Err(AlpnError::ALERT_FATAL)), server::http_1_1);
    let report = report(server.addr);
    let note = report.note().expect("a note");
    assert!(
        note.contains("knows ALPN, but none of the protocols"),
        "{note}"
    );
}

/// rustls sends the alert after its ServerHello, so that it is encrypted under TLS 1.3.
#[test]
fn tls_libraries_read_an_encrypted_alert() {
    let server = server::rustls(&[&TLS13], 0, |stream| server::h2(stream));
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

/// Names are bytes (RFC 7301 section 3.1); native-tls takes UTF-8 only.
#[test]
fn a_name_that_is_not_text_is_offered() {
    let name = ProtocolName::from_static(b"\xff\xfe");
    let server = only(b"\x02\xff\xfe");
    let options = options(Trust::Any).offers([Offer::new([name.clone()])]);
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    let clients: Vec<_> = report.rows.iter().map(|row| row.client).collect();
    assert_eq!(clients, [Client::Rustls, Client::Openssl]);
    for row in &report.rows {
        let Outcome::Negotiated { alpn_protocol, .. } = &row.outcome else {
            panic!("{report}");
        };
        assert_eq!(*alpn_protocol, Some(name.clone()));
    }
}
