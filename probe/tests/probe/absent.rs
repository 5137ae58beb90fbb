//! Servers that do not answer, or not in TLS.

use std::{
    io::{Read, Write},
    net::TcpListener,
    panic::catch_unwind,
    time::{Duration, Instant},
};

use corelane_probe::{Client, Outcome, Row, Trust, Verdict, assert_alpn, probe_blocking};

use crate::{
    ask::{hasty_report, holds, options, report},
    server::{self, TestServer},
};

#[test]
fn a_server_that_never_answers_times_out_once() {
    let server = TestServer::start(|mut socket| server::wait(&mut socket));
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
    // The raw client finds the same.
    let mut options = options(Trust::Any);
    options.clients = vec![Client::Raw];
    options.timeout = Duration::from_millis(200);
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert!(!report.is_reachable());
}

#[test]
fn a_server_that_closes_is_reachable() {
    let server = TestServer::start(|mut socket| server::close(&mut socket));
    let report = report(server.addr);
    assert!(report.is_reachable());
    assert!(report.rows.iter().all(|row| row.outcome == Outcome::Closed));
    assert!(holds(&report, "h2=close"));
    // It says nothing about malformed offers.
    let judged = |row: &Row| row.verdict != Verdict::NotJudged;
    assert!(!report.rows.iter().any(judged), "{report}");
    // A server that resets is reachable, too.
    let server = TestServer::start(|socket| {
        let _ = socket.peek(&mut [0; 1]);
    });
    let report = self::report(server.addr);
    assert!(report.rows.iter().all(|row| row.outcome == Outcome::Closed));
}

#[test]
fn a_port_without_tls_is_unreachable() {
    for banner in ["HTTP/1.1 400 Bad Request", "220 mail ESMTP"] {
        let server = TestServer::start(move |mut socket| {
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(format!("{banner}\r\nmore\r\n").as_bytes());
            server::wait(&mut socket);
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
fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("an address");
    drop(listener);
    let report = report(addr);
    assert!(!report.is_reachable());
    let [row] = &report.rows[..] else {
        panic!("{report}");
    };
    assert!(matches!(row.outcome, Outcome::Unreachable(_)), "{report}");
    let panic = catch_unwind(|| assert_alpn(addr, "localhost", &["h2"])).expect_err("no server");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("no server answers"), "{message}");
}
