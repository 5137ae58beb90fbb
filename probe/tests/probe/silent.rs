//! Servers that choose h2 and then say nothing: they cost one time-out, not one for each offer.

use std::{
    io::Read,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use corelane_probe::{Http2, ProbeOptions, Report, Trust, Verdict, probe_blocking};

use crate::{
    ask::{h2_rows, holds, http2, libraries, options, rows},
    server::{self, Stream, TestServer},
};

/// Long, so that the part of it that later offers get differs even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(6);

fn patient() -> ProbeOptions {
    options(Trust::Any).timeout(TIMEOUT)
}

/// The report, and how long it took.
fn timed(server: &TestServer) -> (Report, Duration) {
    let begun = Instant::now();
    let report = probe_blocking(server.addr, "localhost", &patient()).expect("a report");
    let took = begun.elapsed();
    println!("{report}");
    (report, took)
}

/// The first h2 row had the whole time, the others little of it.
fn assert_waited_once(report: &Report, took: Duration) {
    let times: Vec<_> = h2_rows(report).map(|row| row.time).collect();
    assert_eq!(times.len(), 6 * libraries().len());
    assert!(times[0] > TIMEOUT / 2, "{times:?}");
    assert!(
        times[1..].iter().all(|time| *time < TIMEOUT / 2),
        "{times:?}"
    );
    // Each in full would take at least twelve times as long.
    assert!(took < TIMEOUT * 5, "{took:?}");
}

#[test]
fn h2_without_an_answer_costs_one_timeout() {
    for serve in [server::wait as fn(&mut dyn Stream), server::only_settings] {
        let server = TestServer::tls(Some(server::h2_or_alert), serve);
        let (report, took) = timed(&server);
        assert_waited_once(&report, took);
        assert!(h2_rows(&report).all(|row| row.verdict != Verdict::Conforms));
        assert!(holds(&report, "http/1.1=alert:120"));
    }
}

/// Like `openssl s_server`: while it serves a connection, the next ones wait.
#[test]
fn a_silent_server_of_one_connection_costs_one_timeout() {
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let turn = Mutex::new(());
    let server = TestServer::start(move |socket| {
        let _turn = turn.lock();
        if let Ok(mut stream) = acceptor.accept(socket) {
            server::wait(&mut stream);
        }
    });
    let (report, took) = timed(&server);
    assert_waited_once(&report, took);
    assert!(holds(&report, "http/1.1=alert:120"));
    for row in rows(&report, "h2") {
        assert!(matches!(http2(row), Http2::NotServed(why) if why.contains("no answer")));
    }
}

/// A server or proxy that closes when its own time-out has passed.
#[test]
fn a_server_that_closes_late_costs_one_timeout() {
    let server = TestServer::tls(Some(server::h2_or_alert), |_| {
        thread::sleep(TIMEOUT * 2 / 3);
    });
    let (report, took) = timed(&server);
    assert_waited_once(&report, took);
}

/// Once a handshake got no answer, the next one does not wait as long.
#[test]
fn a_server_that_stops_answering_costs_one_timeout() {
    let first = Mutex::new(true);
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let server = TestServer::start(move |mut socket| {
        let is_first = first
            .lock()
            .is_ok_and(|mut first| std::mem::take(&mut *first));
        if !is_first {
            while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
            return;
        }
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    });
    let (report, took) = timed(&server);
    assert_eq!(report.rows.len(), 4, "{report}");
    assert!(took < TIMEOUT * 2, "{took:?}");
    assert!(report.note().is_some_and(|note| note.contains("stopped")));
}
