//! Probes a server, and looks at the rows of the report.

use std::{net::SocketAddr, time::Duration};

use corelane::ProtocolName;
use corelane_probe::{
    Client, Expectation, Http2, Outcome, ProbeOptions, Report, Row, Trust, Verdict, probe_blocking,
};

/// The clients on TLS libraries.
pub fn libraries() -> Vec<Client> {
    let mut clients = Client::compiled_in();
    clients.retain(|client| *client != Client::Raw);
    assert!(clients.len() >= 2);
    clients
}

pub fn options(trust: Trust) -> ProbeOptions {
    let mut options = ProbeOptions::default();
    options.trust = trust;
    options
}

/// Everything that is offered by default.
pub fn report(addr: SocketAddr) -> Report {
    let report = probe_blocking(addr, "localhost", &options(Trust::Any)).expect("a report");
    println!("{report}");
    report
}

/// The same with less patience, for servers that do not answer.
pub fn hasty_report(addr: SocketAddr) -> Report {
    let mut options = options(Trust::Any);
    options.timeout = Duration::from_millis(500);
    let report = probe_blocking(addr, "localhost", &options).expect("a report");
    println!("{report}");
    report
}

pub fn rows<'a>(report: &'a Report, offer: &'a str) -> impl Iterator<Item = &'a Row> {
    let mut rows = report
        .rows
        .iter()
        .filter(move |row| row.offer.to_string() == offer)
        .peekable();
    assert!(rows.peek().is_some(), "{offer} was not offered");
    rows
}

/// Those made by libraries, with `h2` in it.
pub fn h2_rows(report: &Report) -> impl Iterator<Item = &Row> {
    let offers = |row: &&Row| row.offer.protocols().contains(&ProtocolName::H2);
    report.rows.iter().filter(offers)
}

pub fn malformed_rows(report: &Report) -> impl Iterator<Item = &Row> {
    let malformed = |row: &&Row| row.offer.as_malformed().is_some();
    report.rows.iter().filter(malformed)
}

#[track_caller]
pub fn assert_violates(row: &Row, what: &str) {
    match &row.verdict {
        Verdict::Violates(rule) => assert!(rule.contains(what), "{rule}"),
        other => panic!("{} by {}: {other}", row.offer, row.client),
    }
}

/// Whether a rule is kept.
pub fn holds(report: &Report, rule: &str) -> bool {
    let rule: Expectation = rule.parse().expect("a rule");
    rule.check_report(report).is_empty()
}

pub fn http2(row: &Row) -> &Http2 {
    match &row.outcome {
        Outcome::Negotiated {
            http2: Some(http2), ..
        } => http2,
        other => panic!("{other}"),
    }
}
