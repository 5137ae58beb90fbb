//! How the server answers malformed offers.

use std::io::{Read, Write};

use corelane::ProtocolName;
use corelane_probe::{Client, Outcome, Trust, Verdict, probe_blocking};

use crate::{
    ask::{assert_violates, hasty_report, holds, malformed_rows, options, report},
    server::{self, TestServer},
};

#[test]
fn negotiating_on_a_malformed_offer_violates() {
    let server = TestServer::start(|mut socket| {
        let mut hello = [0; 4096];
        let n = socket.read(&mut hello).unwrap_or(0);
        let flight = [&server::server_hello(false)[..], server::HELLO_DONE].concat();
        let _ = socket.write_all(&flight);
        if !server::is_raw(&hello[..n]) {
            return;
        }
        let _ = socket.read(&mut hello);
    });
    let report = report(server.addr);
    for row in malformed_rows(&report) {
        assert_violates(row, "negotiated on a malformed offer");
        match &row.outcome {
            Outcome::Negotiated { alpn_protocol, .. } => {
                assert_eq!(*alpn_protocol, Some(ProtocolName::H2));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(malformed_rows(&report).count(), 5);
}

#[test]
fn no_answer_to_a_malformed_offer_violates() {
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let server = TestServer::start(move |mut socket| {
        let mut hello = [0; 4096];
        let n = socket.peek(&mut hello).unwrap_or(0);
        match server::is_raw(&hello[..n]) {
            true => server::wait(&mut socket),
            false => drop(
                acceptor
                    .accept(socket)
                    .map(|mut stream| server::h2(&mut stream)),
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

/// A server that has TLS 1.2 too sends the alert in the clear there.
#[test]
fn asks_again_under_tls_1_2_after_an_encrypted_answer() {
    const SEALED_ALERT: [u8; 24] = {
        let mut record = [7; 24];
        [record[0], record[1], record[2], record[3], record[4]] = [23, 3, 3, 0, 19];
        record
    };
    for (below, outcome) in [(120, Outcome::Alert(120)), (70, Outcome::Encrypted)] {
        let server = TestServer::start(move |mut socket| {
            let mut hello = [0; 4096];
            let n = socket.read(&mut hello).unwrap_or(0);
            let answer = match server::offers_tls_1_3(&hello[..n]) {
                true => [&server::server_hello(true)[..], &SEALED_ALERT].concat(),
                false => vec![21, 3, 3, 0, 2, 2, below],
            };
            // In pieces of one byte.
            for byte in answer {
                let _ = socket.write_all(&[byte]);
            }
        });
        let mut options = options(Trust::Any);
        options.clients = vec![Client::Raw];
        let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
        // An encrypted answer may be anything.
        assert_eq!(holds(&report, "malformed=alert"), below == 120);
        for row in malformed_rows(&report) {
            assert_eq!(row.outcome, outcome, "{report}");
            let judged = row.verdict == Verdict::Conforms;
            assert_eq!(judged, below == 120);
        }
    }
}

/// A HelloRetryRequest says nothing about ALPN, and the raw client has no second ClientHello.
#[test]
fn asks_again_under_tls_1_2_after_a_hello_retry_request() {
    for (below, judged) in [(50, true), (70, false)] {
        let server = TestServer::start(move |mut socket| {
            let mut hello = [0; 4096];
            let n = socket.read(&mut hello).unwrap_or(0);
            let _ = socket.write_all(&match server::offers_tls_1_3(&hello[..n]) {
                true => server::hello_retry_request(),
                false => vec![21, 3, 3, 0, 2, 2, below],
            });
            server::wait(&mut socket);
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
