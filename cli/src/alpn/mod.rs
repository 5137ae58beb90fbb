//! `corelane alpn`: probes the ALPN of a server. The prober is crate corelane-probe.

mod args;

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use corelane_probe::{
    CertificateFault, CheckResult, CheckedReport, Client, ClientCertificate, ProbeOptions, Report,
    Trust, probe_blocking, probe_until_up,
};

pub(crate) use self::args::AlpnArgs;
use self::args::Format;

const FALLS_SHORT: u8 = 1;
/// The same as clap's exit status for a wrong command line.
pub(crate) const UNREACHABLE: u8 = 2;

pub(crate) fn run(args: &AlpnArgs) -> Result<ExitCode, Box<dyn Error>> {
    let options = options(args)?;
    let checked = CheckedReport::new(report(args, &options)?, args.expect.clone());
    match write(&checked, args.format) {
        // A reader that has read enough still gets the exit status.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    advise(args, &checked.report);
    Ok(match checked.result() {
        CheckResult::Holds => ExitCode::SUCCESS,
        CheckResult::Unreachable => return Err(checked.unreachable_reason().into()),
        _ => ExitCode::from(FALLS_SHORT),
    })
}

fn options(args: &AlpnArgs) -> Result<ProbeOptions, Box<dyn Error>> {
    let mut options = ProbeOptions::default();
    if !args.client.is_empty() {
        options.clients = clients(args, &options.clients)?;
    }
    // An offer that no client can make is not worth a row, unless a rule is about it.
    let by_raw = options.clients.contains(&Client::Raw);
    let by_library = options.clients.iter().any(|it| *it != Client::Raw);
    options
        .offers
        .retain(|offer| match offer.as_malformed().is_some() {
            true => by_raw,
            false => by_library,
        });
    options.add_offers_of(&args.expect)?;
    for warning in args.expect.iter().flat_map(|rule| rule.warnings()) {
        let _ = writeln!(io::stderr(), "corelane: {warning}");
    }
    if let Some(timeout) = args.timeout {
        options.timeout = timeout;
    }
    if args.insecure {
        options.trust = Trust::Any;
    } else if let Some(file) = &args.cacert {
        // By the server's own reader: each TLS library leaves out something else.
        let pem = corelane::tls::read_certificates(file)?;
        options.trust = Trust::Pem(pem.into_bytes());
    }
    if let (Some(chain), Some(key)) = (&args.client_cert, &args.client_key) {
        let chain = corelane::tls::read_certificates(chain)?;
        let certificate = ClientCertificate::new(chain, read(key)?);
        options = options.client_certificate(certificate);
    }
    Ok(options)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    corelane::read_file(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// The clients that were asked for, each once.
fn clients(args: &AlpnArgs, compiled_in: &[Client]) -> Result<Vec<Client>, String> {
    let mut clients: Vec<Client> = Vec::new();
    for client in args.client.iter().map(|&client| client.into()) {
        if !compiled_in.contains(&client) {
            return Err(format!(
                "the client {client} is not compiled in (build with `--features {client}`)"
            ));
        }
        if !clients.contains(&client) {
            clients.push(client);
        }
    }
    Ok(clients)
}

fn report(args: &AlpnArgs, options: &ProbeOptions) -> Result<Report, corelane_probe::Error> {
    let endpoint = args.endpoint();
    match args.wait {
        Some(wait) => probe_until_up(&endpoint, args.server_name(), options, wait),
        None => {
            let addr = endpoint.resolve(options.timeout)?;
            probe_blocking(addr, args.server_name(), options)
        }
    }
}

fn write(checked: &CheckedReport, format: Format) -> io::Result<()> {
    let stdout = io::stdout();
    let coloured = stdout.is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
        && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
    let mut out = io::BufWriter::new(stdout.lock());
    match format {
        Format::Table => checked.write_table(&mut out, coloured)?,
        Format::Json => checked.write_json(&mut out)?,
        Format::Junit => checked.write_junit(&mut out)?,
        Format::Tap => checked.write_tap(&mut out)?,
    }
    out.flush()
}

/// Tells the user what to do about a certificate that is not trusted.
fn advise(args: &AlpnArgs, report: &Report) {
    let Some((fault, why)) = report.certificate_fault() else {
        return;
    };
    let mut advice = match (fault, &args.cacert) {
        (CertificateFault::Dates, _) => {
            "it has expired or is not valid yet, or this machine's clock is wrong".to_owned()
        }
        (CertificateFault::Name, _) => "give the name in the certificate by --servername".into(),
        (_, None) => "give its CA by --cacert FILE".into(),
        (_, Some(file)) => format!(
            "no certificate in {} has issued it; give its CA by --cacert",
            file.display()
        ),
    };
    if !args.insecure {
        advice.push_str(", or ask regardless by --insecure");
    }
    let _ = writeln!(
        io::stderr(),
        "corelane: the server's certificate is not trusted ({why}): {advice}"
    );
}
