//! Makes the offers and collects the report.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    panic::{catch_unwind, resume_unwind},
    thread,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    compiled,
    connect::{OfferClient, PendingOutcome, Target},
    error::Error,
    judge,
    offer::Offer,
    options::ProbeOptions,
    outcome::Outcome,
    patience::{Patience, Wait},
    registry,
    report::{Report, Row, Verdict},
    server_name::ServerName,
};

/// Makes the offers to the server at `addr`.
///
/// The clients ask for `server_name`: it goes into SNI unless it is an address, and the certificate
/// has to be for it unless [any](crate::Trust::Any) certificate is trusted.
///
/// Await it in a monoio runtime that has its timer (`RuntimeBuilder::enable_timer`). It makes one
/// connection after the other: offer by offer, client by client. It leaves out a client that cannot
/// make an offer; if no client can, the offer gets a row of [`Outcome::Unsupported`] for each.
///
/// A server that completes handshakes and chooses none of the protocols may ignore ALPN, or know it by
/// other names. It is also offered the registered protocols that are not among the offers: one more row
/// for each client.
///
/// If the first connection is refused or times out, the report has this row only: a caller that
/// waits for a server to start asks again ([`probe_until_up`](crate::probe_until_up)). After three
/// well-formed offers in a row that time out, it makes no more. Once a server has let the time-out pass,
/// later offers wait less ([`ProbeOptions::timeout`]).
///
/// # Errors
///
/// The name is not a server name, the certificates are not PEM, the runtime has no timer, or a
/// client is not compiled in. What is wrong with the server is not an error: it is in the report.
pub async fn probe(
    addr: SocketAddr,
    server_name: &str,
    options: &ProbeOptions,
) -> Result<Report, Error> {
    // monoio offers no other way to find out.
    if catch_unwind(|| drop(monoio::time::sleep(Duration::ZERO))).is_err() {
        return Err(Error::config(
            "the monoio runtime has no timer: build it with enable_timer()",
        ));
    }
    let target = Target {
        addr,
        name: ServerName::new(server_name)?,
        patience: Patience::new(options.timeout),
        certificate_alert: Cell::new(None),
    };
    let clients = clients(options)?;
    let mut report = Report {
        addr,
        server_name: target.name.host(),
        rows: Vec::new(),
        client_certificate_alert: None,
    };
    let mut answers = true;
    for offer in &options.offers {
        answers = answers && make(offer, &clients, &target, &mut report).await;
    }
    let others = registry::others(&options.offers);
    if answers && report.chose_nothing() && !others.protocols().is_empty() {
        make(&others, &clients, &target, &mut report).await;
    }
    report.client_certificate_alert = target.certificate_alert.get();
    judge::judge(&mut report.rows);
    Ok(report)
}

/// Makes one offer by each client that can make it. Returns whether to make more.
async fn make(
    offer: &Offer,
    clients: &[ReadyClient],
    target: &Target,
    report: &mut Report,
) -> bool {
    for (client, pending) in pending(clients, offer, target) {
        let begun = Instant::now();
        let outcome = match pending {
            Ok(pending) => pending.await,
            Err(why) => Outcome::Unsupported(why),
        };
        let time = begun.elapsed();
        match outcome {
            Outcome::TimedOut => target.patience.was_in_vain(Wait::Handshake),
            Outcome::Closed => target.patience.failed_after(Wait::Handshake, time),
            Outcome::Alert(_) => target.patience.answered_after(time),
            _ => {}
        }
        let addr = target.addr;
        tracing::debug!(%addr, %client, %offer, %outcome, ?time, "probed");
        report.rows.push(Row {
            client,
            offer: offer.clone(),
            outcome,
            verdict: Verdict::NotJudged,
            time,
        });
        if is_absent(&report.rows) || report.is_stalled() {
            return false;
        }
    }
    true
}

/// [`probe`] for a caller without a monoio runtime: it blocks, and runs a runtime on epoll in a new
/// thread.
///
/// # Errors
///
/// As [`probe`]; also if the thread or the runtime cannot start.
pub fn probe_blocking(
    addr: SocketAddr,
    server_name: &str,
    options: &ProbeOptions,
) -> Result<Report, Error> {
    let failed = |error: io::Error| Error::runtime("the prober could not start").with(error);
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

type ReadyClient = (Client, Box<dyn OfferClient>);

fn clients(options: &ProbeOptions) -> Result<Vec<ReadyClient>, Error> {
    let ready = |&client: &Client| Ok((client, compiled::client(client, options)?));
    options.clients.iter().map(ready).collect()
}

/// The outcomes of the clients that can make this offer; if none can, why not.
fn pending<'a>(
    clients: &'a [ReadyClient],
    offer: &'a Offer,
    target: &'a Target,
) -> Vec<(Client, Result<PendingOutcome<'a>, String>)> {
    let mut pending: Vec<_> = clients
        .iter()
        .map(|(client, ready)| (*client, ready.offer(offer, target)))
        .collect();
    if pending.iter().any(|(_, outcome)| outcome.is_ok()) {
        pending.retain(|(_, outcome)| outcome.is_ok());
    }
    pending
}

/// Whether no connection found a server so far, and at least the last one tried.
fn is_absent(rows: &[Row]) -> bool {
    let found_none = |row: &Row| {
        matches!(
            row.outcome,
            Outcome::TimedOut | Outcome::Unreachable(_) | Outcome::Unsupported(_)
        )
    };
    rows.last()
        .is_some_and(|row| !matches!(row.outcome, Outcome::Unsupported(_)))
        && rows.iter().all(found_none)
}
