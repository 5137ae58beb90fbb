//! The command's own server as the prober sees it: the ALPN rule, row by row, on each backend.

#![cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "native-tls"))]

mod support;

use std::panic::catch_unwind;

use corelane::{ProtocolName, tls::TlsVersion};
use corelane_probe::{
    Client, Expectation, Http2, Offer, Outcome, ProbeOptions, Report, Trust, Verdict, assert_alpn,
    probe_blocking,
};
use support::Corelane;

struct Backend {
    name: &'static str,
    tls_1_3: bool,
}

const BACKENDS: &[Backend] = &[
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    Backend {
        name: "rustls",
        tls_1_3: true,
    },
    #[cfg(feature = "openssl")]
    Backend {
        name: "openssl",
        tls_1_3: true,
    },
    #[cfg(feature = "native-tls")]
    Backend {
        name: "native-tls",
        tls_1_3: false,
    },
];

fn start(backend: &Backend, args: &[&str]) -> Corelane {
    let common = ["--listen", "127.0.0.1:0", "--workers", "1"];
    Corelane::start(&[&common[..], &["--tls", backend.name], args].concat())
}

/// Makes the default offers.
fn report(server: &Corelane) -> Report {
    let options = ProbeOptions::default().trust(Trust::Any);
    let report = probe_blocking(server.addr(), "localhost", &options).expect("a report");
    println!("{report}");
    report
}

fn holds(report: &Report, rule: &str) -> bool {
    let rule: Expectation = rule.parse().expect("a rule");
    rule.check_report(report).is_empty()
}

#[test]
fn every_row_is_as_specified() {
    let offers = Offer::defaults();
    let libraries = [Client::Rustls, Client::NativeTls].map(|client| {
        let compiled_in = Client::compiled_in().contains(&client);
        compiled_in.then_some(client)
    });
    for backend in BACKENDS {
        let server = start(backend, &[]);
        let report = report(&server);
        assert!(report.is_reachable());
        let rows = report.rows.iter();
        let made: Vec<_> = rows.map(|row| (row.client, &row.offer)).collect();
        let mut wanted = Vec::new();
        for offer in &offers {
            match offer.as_malformed() {
                Some(_) => wanted.push((Client::Raw, offer)),
                None => wanted.extend(libraries.into_iter().flatten().map(|it| (it, offer))),
            }
        }
        assert_eq!(made, wanted);
        for row in &report.rows {
            let (offer, client) = (&row.offer, row.client);
            assert_eq!(row.verdict, Verdict::Conforms, "{offer} by {client}");
            let h2 = offer.protocols().contains(&ProtocolName::H2);
            let only_1_3 = offer.version() == Some(TlsVersion::TLS_1_3);
            match &row.outcome {
                Outcome::Negotiated {
                    alpn_protocol,
                    tls_version,
                    cipher_suite,
                    http2,
                    ..
                } => {
                    assert!(h2, "{offer}");
                    assert_eq!(*alpn_protocol, Some(ProtocolName::H2));
                    assert_eq!(*http2, Some(Http2::Served(200)));
                    let best = match backend.tls_1_3 {
                        true => TlsVersion::TLS_1_3,
                        false => TlsVersion::TLS_1_2,
                    };
                    assert_eq!(*tls_version, Some(offer.version().unwrap_or(best)));
                    let suite = cipher_suite.expect("a cipher suite");
                    assert!(suite.name().is_some(), "{suite}");
                }
                Outcome::Alert(120) => assert!(!h2 && offer.as_malformed().is_none()),
                Outcome::Alert(50) => assert!(offer.as_malformed().is_some()),
                Outcome::Alert(70) => assert!(h2 && only_1_3 && !backend.tls_1_3),
                other => panic!("{offer} by {client}: {other}"),
            }
        }
    }
}

#[test]
fn the_rows_of_all_backends_are_equal() {
    let Some((first, others)) = BACKENDS.split_first() else {
        panic!("no backend");
    };
    let comparable = |report: &Report, tls_1_3: bool| -> Vec<_> {
        let rows = report.rows.iter();
        // native-tls has no TLS 1.3 as a server.
        rows.filter(|row| tls_1_3 || row.offer.version() != Some(TlsVersion::TLS_1_3))
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
    let expected = report(&start(first, &[]));
    for backend in others {
        let tls_1_3 = first.tls_1_3 && backend.tls_1_3;
        let got = report(&start(backend, &[]));
        let (got, expected) = (comparable(&got, tls_1_3), comparable(&expected, tls_1_3));
        assert_eq!(got, expected, "{}", backend.name);
        assert!(!got.is_empty());
    }
}

#[test]
fn rules_hold_and_a_broken_one_panics() {
    for backend in BACKENDS {
        let server = start(backend, &[]);
        let addr = server.addr();
        let rules = [
            "h2",
            "http/1.1,h2=h2",
            "http/1.1=alert:120",
            "none=alert:120",
            "malformed=alert:50",
        ];
        assert_alpn(addr, "localhost", &rules);
        // A rule about an offer that is not among the defaults.
        assert_alpn(addr, "localhost", &["spdy/3,h2=h2", "spdy/3=alert"]);
        for (rule, offer, wrong) in [
            (
                "h2,http/1.1=http/1.1",
                "h2,http/1.1 offered by ",
                ": expected http/1.1, got h2, TLS 1.",
            ),
            (
                "http/1.1=none",
                "http/1.1 offered by ",
                ": expected a handshake without ALPN, got alert 120",
            ),
            (
                "malformed=close",
                "malformed: empty list offered by raw",
                ": expected a close",
            ),
        ] {
            let panic = catch_unwind(|| assert_alpn(addr, "localhost", &["h2", rule]));
            let panic = panic.expect_err(rule);
            let message = panic.downcast_ref::<String>().expect("a message");
            let broken = |line: &str| line.contains(offer) && line.contains(wrong);
            assert!(message.lines().any(broken), "{message}");
            let table = [
                "client",
                "offer",
                "alert 120 no_application_protocol",
                "GET 200",
            ];
            assert!(table.iter().all(|cell| message.contains(cell)), "{message}");
        }
    }
}

#[test]
fn http2_without_alpn_is_served_where_allowed() {
    for backend in BACKENDS {
        let server = start(backend, &["--alpn-missing", "allow"]);
        let report = report(&server);
        assert!(holds(&report, "none=h2"));
        assert!(holds(&report, "none=none"));
        let mut rows = report
            .rows
            .iter()
            .filter(|row| row.offer == Offer::none())
            .peekable();
        assert!(rows.peek().is_some());
        assert!(rows.all(|row| row.verdict == Verdict::Conforms));
    }
}
