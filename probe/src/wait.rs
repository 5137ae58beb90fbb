//! Waits for a server to start.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    endpoint::Endpoint, error::Error, options::ProbeOptions, outcome::Outcome, report::Report,
    run::probe_blocking,
};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Probes the server at `endpoint` again and again, for as long as `wait`, until every connection
/// succeeds. It blocks, and resolves the host name anew for each attempt.
///
/// An attempt makes one offer, and the others once the first got an answer. The last report is
/// returned, even if the server is not up.
///
/// # Errors
///
/// As [`probe_blocking`]; also if the host cannot be resolved until `wait` is over.
pub fn probe_until_up(
    endpoint: &Endpoint,
    server_name: &str,
    options: &ProbeOptions,
    wait: Duration,
) -> Result<Report, Error> {
    let begun = Instant::now();
    let left = || wait.saturating_sub(begun.elapsed());
    loop {
        let mut first = options.clone();
        first.offers.truncate(1);
        first.timeout = options.timeout.min(left().max(PAUSE));
        match endpoint.resolve(first.timeout) {
            Ok(addr) => {
                let probe_all = || probe_blocking(addr, server_name, options);
                let report = probe_blocking(addr, server_name, &first)?;
                if is_up(&report) {
                    let report = probe_all()?;
                    if is_up(&report) || left().is_zero() {
                        return Ok(report);
                    }
                } else if left().is_zero() {
                    return match report.is_reachable() {
                        true => probe_all(),
                        false => Ok(report),
                    };
                }
            }
            Err(error) if left().is_zero() => return Err(error),
            Err(_) => {}
        }
        thread::sleep(left().min(PAUSE));
    }
}

/// Whether every connection reached the server. One that started during the report has rows that say
/// nothing about it; one that only closes connections may be a proxy whose server is not up.
fn is_up(report: &Report) -> bool {
    let mut outcomes = report.rows.iter().map(|row| &row.outcome);
    let closed = |it| matches!(it, &Outcome::Closed | &Outcome::Unsupported(_));
    let unreachable = |it| matches!(it, &Outcome::Unreachable(_));
    report.is_reachable() && !outcomes.clone().any(unreachable) && !outcomes.all(closed)
}
