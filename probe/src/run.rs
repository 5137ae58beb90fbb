//! From options to a report.

use std::{
    net::SocketAddr,
    panic::{catch_unwind, resume_unwind},
    thread,
    time::{Duration, Instant},
};

use super::{
    Client, Offer, Outcome, ProbeOptions, Report, Row, Verdict,
    connect::{Answer, Library},
    options::{ServerName, Target},
    verdict,
};
use crate::error::{Error, Kind};

/// Asks the server at `addr` by the name of `server_name`, which goes into SNI unless it is an
/// address, and which its certificate has to have unless that is [not looked
/// at](super::Trust::Any).
///
/// It runs in a monoio runtime that has its timer (`RuntimeBuilder::enable_timer`). Connections are
/// made one after the other: offer by offer, client by client. A client that cannot make an offer
/// is left out; an offer that none of them can make gets a row of [`Outcome::Unsupported`] by each.
///
/// Where the first row finds nobody, refused or without an answer in time, it stays the only one:
/// who waits for a server to come up asks again. After three well-formed offers in a row without an
/// answer in time no more are made.
///
/// # Errors
///
/// What is wrong with the server is in the report. An error says what is wrong with the question:
/// a name that is none, certificates that are not PEM, a runtime without a timer, a client that is
/// not compiled in.
pub async fn probe(
    addr: SocketAddr,
    server_name: &str,
    options: &ProbeOptions,
) -> Result<Report, Error> {
    // monoio has no way to ask.
    if catch_unwind(|| drop(monoio::time::sleep(Duration::ZERO))).is_err() {
        return Err(Error::config(
            "the monoio runtime has no timer: build it with enable_timer()",
        ));
    }
    let target = Target {
        addr,
        name: ServerName::new(server_name)?,
        timeout: options.timeout,
    };
    let clients = clients(options)?;
    let mut rows: Vec<Row> = Vec::new();
    for offer in &options.offers {
        for (client, answer) in asked(&clients, offer, &target) {
            let begun = Instant::now();
            let outcome = match answer {
                Ok(answer) => answer.await,
                Err(why) => Outcome::Unsupported(why),
            };
            let time = begun.elapsed();
            tracing::debug!(%addr, %client, %offer, %outcome, ?time, "probed");
            rows.push(Row {
                client,
                offer: offer.clone(),
                outcome,
                verdict: Verdict::NotJudged,
                time,
            });
            if found_nobody(&rows) || is_stalled(&rows) {
                return Ok(report(&target, rows));
            }
        }
    }
    Ok(report(&target, rows))
}

/// The same for those who have no monoio runtime: it gets one of its own, on epoll, on a thread of
/// its own.
///
/// # Errors
///
/// As [`probe`], and where there can be no such thread or runtime.
pub fn probe_blocking(
    addr: SocketAddr,
    server_name: &str,
    options: &ProbeOptions,
) -> Result<Report, Error> {
    let failed = |error| Error::new(Kind::Worker, "the prober could not start").with(error);
    let run = || {
        monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
            .enable_timer()
            .build()
            .map_err(failed)?
            .block_on(probe(addr, server_name, options))
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("corelane-probe".into());
        let running = thread.spawn_scoped(scope, run).map_err(failed)?;
        running.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn report(target: &Target, mut rows: Vec<Row>) -> Report {
    verdict::judge(&mut rows);
    Report {
        addr: target.addr,
        server_name: target.name.host(),
        rows,
    }
}

type Asker = (Client, Box<dyn Library>);

fn clients(options: &ProbeOptions) -> Result<Vec<Asker>, Error> {
    let ready = |&client: &Client| match client.compiled() {
        Some(make) => Ok((client, make(&options.trust)?)),
        None => Err(Error::unsupported(
            "this build",
            &format!("the client {client}"),
            "it is there with the cargo feature of its name, probe-rustls or probe-native-tls",
        )),
    };
    options.clients.iter().map(ready).collect()
}

/// The answers of those who can make this offer; if nobody can, why not.
fn asked<'a>(
    clients: &'a [Asker],
    offer: &'a Offer,
    target: &'a Target,
) -> Vec<(Client, Result<Answer<'a>, String>)> {
    let mut asked: Vec<_> = clients
        .iter()
        .map(|(client, library)| (*client, library.offer(offer, target)))
        .collect();
    if asked.iter().any(|(_, answer)| answer.is_ok()) {
        asked.retain(|(_, answer)| answer.is_ok());
    }
    asked
}

/// Whether it is known by now that there is nobody to ask.
fn found_nobody(rows: &[Row]) -> bool {
    let nobody = |row: &Row| {
        matches!(
            row.outcome,
            Outcome::TimedOut | Outcome::Unreachable(_) | Outcome::Unsupported(_)
        )
    };
    rows.last()
        .is_some_and(|row| nobody(row) && !matches!(row.outcome, Outcome::Unsupported(_)))
        && rows.iter().all(nobody)
}

/// How many well-formed offers in a row may go without an answer before no more are made. A server
/// that stalls would cost the time-out with every row.
const STALLED: usize = 3;

/// Whether no more offers were made for that.
pub(super) fn is_stalled(rows: &[Row]) -> bool {
    let well_formed = rows
        .iter()
        .rev()
        .filter(|row| row.offer.as_malformed().is_none());
    let last = well_formed.take(STALLED).map(|row| &row.outcome);
    last.filter(|it| **it == Outcome::TimedOut).count() == STALLED
}
