//! Which protocol the server chooses.

use corelane_probe::{Client, Verdict};
use rustls::version::TLS13;

use crate::{
    ask::{assert_violates, h2_rows, holds, report, rows},
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
    assert!(report.note().expect("a note").contains("ignores ALPN"));
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
