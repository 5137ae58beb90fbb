//! Groups of the key exchange that clients do not offer first, or do not have.

use corelane::tls::NamedGroup;
use corelane_probe::{CheckResult, CheckedReport, Client, Http2, Outcome, Row, Verdict};
use openssl::ssl::SslVersion;

use crate::{
    ask::{h2_rows, holds, http2, report},
    certificate::CERTIFICATE,
    server::{self, TestServer},
};

const SECP521R1: NamedGroup = NamedGroup(0x0019);
const X448: NamedGroup = NamedGroup(0x001e);

/// A server that takes these groups only, and has no newer version than this.
fn only(groups: &str, version: SslVersion) -> TestServer {
    let mut acceptor = server::builder(&CERTIFICATE.pem, &CERTIFICATE.key);
    acceptor
        .set_max_proto_version(Some(version))
        .expect("a version");
    acceptor.set_groups_list(groups).expect("groups");
    acceptor.set_alpn_select_callback(server::h2_or_alert);
    let acceptor = acceptor.build();
    TestServer::start(move |socket| {
        let accepted = acceptor.accept(socket);
        drop(accepted.map(|mut stream| server::h2(&mut stream)));
    })
}

fn group(row: &Row) -> Option<NamedGroup> {
    match &row.outcome {
        Outcome::Negotiated {
            key_exchange_group, ..
        } => *key_exchange_group,
        other => panic!("{other}"),
    }
}

/// Under TLS 1.3 no client sends a key share for P-384 in its first ClientHello.
#[test]
fn every_tls_client_answers_a_hello_retry_request() {
    let usual = report(server::good().addr);
    assert!(h2_rows(&usual).all(|row| group(row) != Some(NamedGroup::SECP384R1)));
    for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
        let report = report(only("P-384", version).addr);
        let rows = h2_rows(&report).filter(|row| row.outcome != Outcome::Alert(70));
        for row in rows {
            assert_eq!(*http2(row), Http2::Served(200), "{report}");
            assert_eq!(group(row), Some(NamedGroup::SECP384R1));
        }
        assert!(holds(&report, "http/1.1=alert:120"));
        let checked = CheckedReport::new(report, Vec::new());
        assert_eq!(checked.result(), CheckResult::Holds);
    }
}

/// rustls has neither group.
#[test]
fn a_group_that_only_some_clients_have_is_judged_by_those() {
    for (name, number) in [("P-521", SECP521R1), ("X448", X448)] {
        for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
            let report = report(only(name, version).addr);
            let rows = h2_rows(&report).filter(|row| row.outcome != Outcome::Alert(70));
            for row in rows {
                if row.client == Client::Rustls {
                    assert_eq!(row.outcome, Outcome::Alert(40), "{report}");
                    assert_eq!(row.verdict, Verdict::NotJudged);
                    continue;
                }
                assert_eq!(*http2(row), Http2::Served(200), "{report}");
                assert_eq!(group(row), Some(number));
                assert_eq!(row.verdict, Verdict::Conforms);
            }
            assert_eq!(report.without_handshake(), [Client::Rustls]);
        }
    }
}
