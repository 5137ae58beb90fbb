//! The command's own server as the prober sees it: the ALPN rule, row by row, on each backend and by
//! each client.

#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "openssl",
    feature = "native-tls"
))]

mod support;

use std::panic::catch_unwind;

use corelane::{
    ProtocolName,
    tls::{NamedGroup, TlsVersion},
};
use corelane_probe::{
    Client, ClientCertificate, Expectation, Http2, Offer, Outcome, ProbeOptions, Report, Row,
    Trust, Verdict, assert_alpn, probe_blocking,
};
use rcgen::{CertificateParams, DnType};
use support::{
    Corelane,
    certificates::{Certificate, Files, made},
};

struct Backend {
    name: &'static str,
    tls_1_3: bool,
    client_certificates: bool,
}

const BACKENDS: &[Backend] = &[
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    Backend {
        name: "rustls",
        tls_1_3: true,
        client_certificates: true,
    },
    #[cfg(feature = "openssl")]
    Backend {
        name: "openssl",
        tls_1_3: true,
        client_certificates: true,
    },
    #[cfg(feature = "native-tls")]
    Backend {
        name: "native-tls",
        tls_1_3: false,
        client_certificates: false,
    },
];

fn start(backend: &Backend, args: &[&str]) -> Corelane {
    let common = ["--listen", "127.0.0.1:0", "--workers", "1"];
    Corelane::start(&[&common[..], &["--tls", backend.name], args].concat())
}

/// Makes the default offers.
fn report(server: &Corelane) -> Report {
    report_with(server, &options())
}

fn report_with(server: &Corelane, options: &ProbeOptions) -> Report {
    let report = probe_blocking(server.addr(), "localhost", options).expect("a report");
    println!("{report}");
    report
}

fn options() -> ProbeOptions {
    ProbeOptions::default().trust(Trust::Any)
}

/// The clients on TLS libraries.
fn libraries() -> Vec<Client> {
    let mut clients = Client::compiled_in();
    clients.retain(|client| *client != Client::Raw);
    clients
}

fn holds(report: &Report, rule: &str) -> bool {
    let rule: Expectation = rule.parse().expect("a rule");
    rule.check_report(report).is_empty()
}

#[test]
fn every_row_is_as_specified() {
    let offers = Offer::defaults();
    let libraries = libraries();
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
                None => wanted.extend(libraries.iter().map(|it| (*it, offer))),
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
                    key_exchange_group,
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
                    assert!(key_exchange_group.is_some());
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
    let options = options_with_more_offers();
    let expected = report_with(&start(first, &[]), &options);
    for backend in others {
        let tls_1_3 = first.tls_1_3 && backend.tls_1_3;
        let got = report_with(&start(backend, &[]), &options);
        let (got, expected) = (comparable(&got, tls_1_3), comparable(&expected, tls_1_3));
        assert_eq!(got, expected, "{}", backend.name);
        assert!(!got.is_empty());
    }
}

/// Offers beyond the defaults, and the clients that may be unable to make them, each by its library.
fn more_offers() -> [(Offer, &'static [Client]); 5] {
    let h2 = || Offer::new([ProtocolName::H2]);
    let not_text = ProtocolName::from_static(b"\xff\xfe");
    // rustls has no version below TLS 1.2. native-tls cannot lower OpenSSL's security level, under which
    // newer releases have none either.
    let old: &[Client] = &[Client::Rustls, Client::NativeTls];
    // native-tls takes names that are UTF-8 only.
    let bytes: &[Client] = &[Client::NativeTls];
    [
        (h2().only(TlsVersion(0x0301)), old),
        (h2().only(TlsVersion(0x0302)), old),
        (Offer::new([not_text.clone()]), bytes),
        (Offer::new([not_text, ProtocolName::H2]), bytes),
        (Offer::none().only(TlsVersion::TLS_1_2), &[]),
    ]
}

fn options_with_more_offers() -> ProbeOptions {
    let mut options = options();
    options.offers.extend(more_offers().map(|(offer, _)| offer));
    options
}

/// Everything about each offer is the same by each client: what was chosen, the version, the cipher
/// suite, the group and HTTP/2's answer, or the alert; and the verdict.
fn assert_clients_agree(report: &Report, case: &str) {
    let clients = libraries();
    let defaults = Offer::defaults();
    let defaults = defaults.iter().filter(|it| it.as_malformed().is_none());
    let more = more_offers();
    let offers = defaults.map(|offer| (offer, &[][..]));
    for (offer, unable) in offers.chain(more.iter().map(|(offer, unable)| (offer, *unable))) {
        let rows = report
            .rows
            .iter()
            .filter(|row| row.offer == *offer && !matches!(row.outcome, Outcome::Unsupported(_)));
        let rows: Vec<_> = rows.collect();
        for client in clients.iter().filter(|client| !unable.contains(client)) {
            let made = rows.iter().any(|row| row.client == *client);
            assert!(made, "{case}: {offer} by {client}");
        }
        for row in &rows {
            let case = format!("{case}: {offer} by {}", row.client);
            assert_eq!(comparable(row), comparable(rows[0]), "{case}");
            assert_eq!(row.verdict, rows[0].verdict, "{case}");
        }
    }
}

/// OpenSSL offers X25519MLKEM768 first from version 3.5 on, rustls after X25519. Servers follow the client.
fn comparable(row: &Row) -> Outcome {
    let mut outcome = row.outcome.clone();
    if let Outcome::Negotiated {
        key_exchange_group: Some(group),
        ..
    } = &mut outcome
        && *group == NamedGroup::X25519MLKEM768
    {
        *group = NamedGroup::X25519;
    }
    outcome
}

#[test]
fn the_rows_of_all_clients_are_equal() {
    let options = options_with_more_offers();
    for backend in BACKENDS {
        let settings: &[&[&str]] = match backend.tls_1_3 {
            true => &[&[], &["--alpn-missing", "allow"], &["--min-tls", "1.3"]],
            false => &[&[], &["--alpn-missing", "allow"]],
        };
        for args in settings {
            let report = report_with(&start(backend, args), &options);
            assert!(report.is_reachable());
            assert_clients_agree(&report, &format!("{} {args:?}", backend.name));
        }
    }
}

/// A certificate that trusts itself, with this name as its subject.
fn client_certificate(name: &str) -> Certificate {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    made(&params)
}

/// Under TLS 1.3 the server refuses the certificate after the client has completed the handshake.
#[test]
fn the_rows_of_all_clients_are_equal_where_a_client_certificate_is_required() {
    let dir = tempfile::tempdir().expect("a directory");
    let (trusted, other) = (client_certificate("trusted"), client_certificate("other"));
    let files = Files::of(dir.path(), &trusted);
    let authority = files.cert.to_str().expect("UTF-8");
    let options = options_with_more_offers();
    let with = |it: &Certificate| ClientCertificate::new(&*it.pem, &*it.key);
    for backend in BACKENDS.iter().filter(|it| it.client_certificates) {
        let server = start(backend, &["--client-ca", authority]);
        for (given, alert) in [
            (None, Some(116)),
            (Some(&trusted), None),
            (Some(&other), Some(48)),
        ] {
            let mut options = options.clone();
            options.client_certificate = given.map(with);
            let report = report_with(&server, &options);
            let case = format!("{}, alert {alert:?}", backend.name);
            assert_clients_agree(&report, &case);
            assert_eq!(report.client_certificate_alert, alert, "{case}");
            assert_eq!(holds(&report, "h2"), alert.is_none(), "{case}");
        }
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
