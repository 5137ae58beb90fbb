//! `corelane alpn`: asks a server what it makes of offers by ALPN.

mod args;
mod format_json;
mod format_junit;
mod format_table;
mod format_tap;
mod judged;
mod known_protocols;
mod reach;

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use corelane::probe::{Client, Outcome, ProbeOptions, Report, Trust, probe_blocking};

pub(crate) use self::args::AlpnArgs;
use self::{
    args::Format,
    judged::{Judged, Result as Judgement},
};

const FALLS_SHORT: u8 = 1;
/// As clap ends on a command line that it cannot read.
pub(crate) const UNREACHABLE: u8 = 2;

/// Between two tries of `--wait`.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &AlpnArgs) -> Result<ExitCode, Box<dyn Error>> {
    let options = options(args)?;
    let judged = Judged::new(ask_until_up(args, &options)?, args.expect.clone());
    match write(&judged, args.format) {
        // Whoever has read enough still gets the exit status.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    advise(args, &judged.report);
    Ok(match judged.result() {
        Judgement::Holds => ExitCode::SUCCESS,
        Judgement::FallsShort => ExitCode::from(FALLS_SHORT),
        Judgement::Unreachable => return Err(judged.unreachable().into()),
    })
}

fn options(args: &AlpnArgs) -> Result<ProbeOptions, Box<dyn Error>> {
    let mut options = ProbeOptions::default();
    if !args.client.is_empty() {
        let mut clients: Vec<Client> = Vec::new();
        for client in args.client.iter().map(|&client| client.into()) {
            if !options.clients.contains(&client) {
                return Err(format!(
                    "the client {client} is not compiled in (build with `--features {client}`)"
                )
                .into());
            }
            if !clients.contains(&client) {
                clients.push(client);
            }
        }
        options.clients = clients;
    }
    // What none of them can offer is not worth a line.
    let by_hand = options.clients.contains(&Client::Raw);
    let by_library = options.clients.iter().any(|it| *it != Client::Raw);
    options
        .offers
        .retain(|offer| match offer.as_malformed().is_some() {
            true => by_hand,
            false => by_library,
        });
    for (index, rule) in args.expect.iter().enumerate() {
        let before = &args.expect[..index];
        if let Some(other) = before.iter().find(|other| rule.contradicts(other)) {
            return Err(format!("the rules {other} and {rule} contradict each other").into());
        }
        for doubt in known_protocols::doubts(rule) {
            let _ = writeln!(io::stderr(), "corelane: {doubt}");
        }
        if !options.offers.iter().any(|offer| rule.concerns(offer)) {
            options.offers.extend(rule.offer());
        }
    }
    if let Some(timeout) = args.timeout {
        options.timeout = timeout;
    }
    if args.insecure {
        options.trust = Trust::Any;
    } else if let Some(file) = &args.cacert {
        let pem = std::fs::read(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
        if !pem.windows(BEGIN.len()).any(|bytes| bytes == BEGIN) {
            return Err(format!("there is no certificate in {}, in PEM", file.display()).into());
        }
        options.trust = Trust::Pem(pem);
    }
    Ok(options)
}

/// Asks once or, with `--wait`, until every connection has come about. As long as is waited, one offer
/// has to tell whether the server is up, and has no more time than is left.
fn ask_until_up(args: &AlpnArgs, options: &ProbeOptions) -> Result<Report, Box<dyn Error>> {
    let begun = Instant::now();
    let server_name = match &args.servername {
        Some(name) => name,
        None => args.target.server_name(),
    };
    let Some(wait) = args.wait else {
        let addr = reach::address(args, options.timeout)?;
        return Ok(probe_blocking(addr, server_name, options)?);
    };
    loop {
        let left = || wait.saturating_sub(begun.elapsed());
        let mut first = options.clone();
        first.offers.truncate(1);
        first.timeout = options.timeout.min(left().max(PAUSE));
        match reach::address(args, first.timeout) {
            Ok(addr) => {
                let whole = || probe_blocking(addr, server_name, options);
                let report = probe_blocking(addr, server_name, &first)?;
                if is_up(&report) {
                    let report = whole()?;
                    if is_up(&report) || left().is_zero() {
                        return Ok(report);
                    }
                } else if left().is_zero() {
                    return Ok(match report.is_reachable() {
                        true => whole()?,
                        false => report,
                    });
                }
            }
            Err(error) if left().is_zero() => return Err(error.into()),
            Err(_) => {}
        }
        std::thread::sleep(left().min(PAUSE));
    }
}

/// A server that came up in between has rows that say nothing about it; one that takes connections
/// only to close them may be a proxy whose server is not up.
fn is_up(report: &Report) -> bool {
    let mut outcomes = report.rows.iter().map(|row| &row.outcome);
    let closed = |it| matches!(it, &Outcome::Closed | &Outcome::Unsupported(_));
    let nobody = |it| matches!(it, &Outcome::Unreachable(_));
    report.is_reachable() && !outcomes.clone().any(nobody) && !outcomes.all(closed)
}

fn write(judged: &Judged, format: Format) -> io::Result<()> {
    let stdout = io::stdout();
    let coloured = stdout.is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
        && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
    let mut out = io::BufWriter::new(stdout.lock());
    match format {
        Format::Table => format_table::write(judged, coloured, &mut out)?,
        Format::Json => format_json::write(judged, &mut out)?,
        Format::Junit => format_junit::write(judged, &mut out)?,
        Format::Tap => format_tap::write(judged, &mut out)?,
    }
    out.flush()
}

/// What to do where the certificate was in the way.
fn advise(args: &AlpnArgs, report: &Report) {
    let untrusted = report.rows.iter().find_map(|row| match &row.outcome {
        Outcome::Untrusted(why) => Some(why),
        _ => None,
    });
    let Some(why) = untrusted else { return };
    // In the words of rustls and of OpenSSL.
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let mut advice = if says(&["expired", "not valid yet", "not yet valid"]) {
        "its dates are not right, or this machine's clock is not".to_owned()
    } else if says(&[
        "not valid for name",
        "hostname mismatch",
        "IP address mismatch",
    ]) {
        "give the name in the certificate by --servername".to_owned()
    } else {
        match &args.cacert {
            None => "give its CA by --cacert FILE".into(),
            Some(file) => format!(
                "{} does not vouch for it; give another by --cacert",
                file.display()
            ),
        }
    };
    if !args.insecure {
        advice.push_str(", or ask regardless by --insecure");
    }
    let _ = writeln!(
        io::stderr(),
        "corelane: the server's certificate is not trusted ({why}): {advice}"
    );
}
