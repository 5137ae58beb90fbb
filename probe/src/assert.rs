//! The assertion for tests.

use std::{error::Error as StdError, net::SocketAddr};

use super::{
    error::Error,
    expectation::Expectation,
    options::{ProbeOptions, Trust},
    run::probe_blocking,
};

/// Asserts, in a test, that a server keeps these [rules](Expectation).
///
/// The prober trusts any certificate. It makes the [default offers](crate::Offer::defaults) and those
/// of the rules.
///
/// # Panics
///
/// A rule does not hold: the message shows the whole table and the wrong rows. A rule cannot be
/// parsed. The server does not answer.
#[track_caller]
#[allow(clippy::panic)] // It is an assertion.
pub fn assert_alpn(addr: SocketAddr, server_name: &str, rules: &[&str]) {
    if let Err(what) = check_alpn(addr, server_name, rules) {
        panic!("{what}");
    }
}

fn check_alpn(addr: SocketAddr, server_name: &str, rules: &[&str]) -> Result<(), String> {
    let rules = rules
        .iter()
        .map(|rule| rule.parse())
        .collect::<Result<Vec<Expectation>, _>>()
        .map_err(with_sources)?;
    let mut options = ProbeOptions::default().trust(Trust::Any);
    options.add_offers_of(&rules).map_err(with_sources)?;
    let report = probe_blocking(addr, server_name, &options).map_err(with_sources)?;
    let wrong: Vec<_> = match report.is_reachable() {
        false => vec![format!("no server answers at {addr}")],
        true => rules
            .iter()
            .flat_map(|rule| rule.check_report(&report))
            .collect(),
    };
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the server breaks the ALPN rules:\n  {}\n{report}",
            wrong.join("\n  ")
        )),
    }
}

/// The error and its sources on one line.
fn with_sources(error: Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}
