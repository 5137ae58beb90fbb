//! How the server answers HTTP/2.

use std::time::Duration;

use corelane_probe::{Expectation, Http2, Outcome, Report, Trust, Verdict, probe_blocking};

use crate::{
    ask::{assert_violates, h2_rows, hasty_report, holds, http2, libraries, options, report, rows},
    server::{self, TestServer},
};

#[test]
fn h2_that_is_not_served_violates() {
    let server = TestServer::tls(Some(server::h2_or_alert), server::http_1_1);
    let report = report(server.addr);
    assert!(!holds(&report, "h2"));
    assert!(holds(&report, "http/1.1=alert:120"));
    assert_eq!(h2_rows(&report).count(), 6 * libraries().len());
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
fn reports_what_the_server_sent_instead_of_http2() {
    for (serve, what) in [
        (
            server::wait as fn(&mut dyn server::Stream),
            "no answer within ",
        ),
        (server::goaway, "GOAWAY 12 INADEQUATE_SECURITY (bye\\x1b)"),
        (server::close, "closed"),
    ] {
        let server = TestServer::tls(Some(server::h2_or_alert), serve);
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

/// It speaks HTTP/2: a missing response is not a fault of ALPN.
#[test]
fn http2_without_a_response_is_not_judged() {
    // Long enough for the handshake on a busy machine; one offer, as each takes that long.
    let mut patient = options(Trust::Any);
    patient.timeout = Duration::from_secs(2);
    patient.offers.truncate(1);
    let silent = TestServer::tls(Some(server::h2_or_alert), server::only_settings);
    let nothing = probe_blocking(silent.addr, "localhost", &patient).expect("a report");
    assert_spoken(&nothing, "no answer within ");
    for (serve, what) in [
        (
            server::flood as fn(&mut dyn server::Stream),
            "no answer within 65536 bytes",
        ),
        (server::settings_then_goaway, "GOAWAY 0 NO_ERROR (later"),
        (server::settings_then_reset, "RST_STREAM 7 REFUSED_STREAM"),
        (server::settings_then_close, "closed"),
        (server::odd_status, "the invalid status 999"),
    ] {
        let server = TestServer::tls(Some(server::h2_or_alert), serve);
        assert_spoken(&report(server.addr), what);
    }
}

fn assert_spoken(report: &Report, what: &str) {
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

#[test]
fn waits_little_for_http2_that_was_not_promised() {
    let server = TestServer::tls(None, server::wait);
    let report = report(server.addr);
    for row in rows(&report, "none") {
        assert_eq!(row.verdict, Verdict::Conforms);
        assert!(row.time < Duration::from_secs(4), "{:?}", row.time);
    }
}
