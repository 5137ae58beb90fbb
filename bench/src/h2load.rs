//! Starts h2load and reads its report.

use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Child, Command, Stdio},
    str::FromStr,
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{
    client::Target,
    cores::{Cores, pinned_load},
    fixtures::{Fixtures, Resource},
    generator::{self, Generator},
    shapes::Requests,
    terms::{Group, Http, Negotiated, Terms},
};

/// Flow-control windows of 16 MiB, so that responses do not wait for the client.
const WINDOW_BITS: &str = "24";

/// Between two batches of connections. All servers finish 16 handshakes within it.
const BATCH_PERIOD: &str = "20ms";

/// A shell that stops itself and, when it is resumed, becomes h2load.
const STAND_STILL: &str = r#"kill -STOP $$; exec "$@""#;

/// The process of h2load. Dropping it ends the process.
#[derive(Debug)]
pub struct H2load {
    child: Child,
    /// Readable when the process has ended.
    ended: OwnedFd,
    /// Files instead of pipes, since the harness does not read while h2load runs.
    stdout: File,
    stderr: File,
    load: Requests,
    target: Target,
}

impl H2load {
    /// Starts h2load, stopped before its first step.
    pub fn start(
        load: Requests,
        target: Target,
        fixtures: &Fixtures,
        cores: Cores,
    ) -> anyhow::Result<Self> {
        let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let child = command(load, &target, fixtures, cores)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .spawn()
            .context("cannot run h2load")?;
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .context("cannot watch h2load's process")?;
        let h2load = Self {
            child,
            ended,
            stdout,
            stderr,
            load,
            target,
        };
        generator::wait_until_stopped(h2load.process()).context("h2load")?;
        Ok(h2load)
    }

    /// Runs the whole load without a stop. Returns the requests per second.
    pub fn run(mut self) -> anyhow::Result<f64> {
        generator::resume(&self)?;
        self.finish()
    }

    /// Waits until h2load exits and checks its report. Returns the requests per second.
    fn finish(&mut self) -> anyhow::Result<f64> {
        let status = self.child.wait()?;
        let text = all(&mut self.stdout)?;
        ensure!(
            status.success(),
            "h2load failed ({status}): {}",
            all(&mut self.stderr)?.trim()
        );
        let report: Report = text
            .parse()
            .with_context(|| format!("h2load printed:\n{text}"))?;
        let resource = self.target.resource(self.load.resource);
        let length = resource.body().len() as u64;
        report.verify(self.load.requests.into(), length, self.target.terms)?;
        Ok(report.rate)
    }
}

impl Generator for H2load {
    fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn done(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    fn verify(&mut self) -> anyhow::Result<()> {
        self.finish().map(drop)
    }
}

impl Drop for H2load {
    fn drop(&mut self) {
        // SIGKILL, which ends a stopped process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn all(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn command(load: Requests, target: &Target, fixtures: &Fixtures, cores: Cores) -> Command {
    let terms = target.terms;
    let groups: Vec<_> = terms.groups().iter().map(|group| group.name()).collect();
    let mut command = pinned_load(cores.client, "sh");
    command
        .args(["-c", STAND_STILL, "sh", "h2load"])
        .args(["-n", &load.requests.to_string()])
        .args(["-c", &load.connections.to_string()])
        .args(["-m", &load.streams.to_string()])
        .args(["--tls13-ciphers", terms.cipher_under(Group::Tls13)])
        .args(["--ciphers", terms.cipher_under(Group::Tls12)])
        .args(["--groups", &groups.join(":")])
        // If a server stops answering, that is its error, and the run continues. Between two turns of a
        // load there is less than a second.
        .args(["--connection-inactivity-timeout", "30s"]);
    if load.resource != Resource::Tiny {
        command.args(["-w", WINDOW_BITS, "-W", WINDOW_BITS]);
    }
    if load.resource == Resource::Upload {
        command.arg("-d").arg(fixtures.body(Resource::M1));
    }
    if let Some(batch) = load.batch {
        command.args(["--rate", &batch.to_string()]);
        command.args(["--rate-period", BATCH_PERIOD]);
    }
    if terms.http == Http::Http1 {
        command.arg("--h1");
    }
    let path = target.resource(load.resource).name();
    command.arg(format!("https://{}/{path}", target.addr));
    command
}

/// The parts of h2load's output that are checked.
#[derive(Debug)]
struct Report {
    negotiated: Negotiated,
    rate: f64,
    succeeded: u64,
    status_2xx: u64,
    body_bytes: u64,
    /// The lines on success and failure, for error messages.
    shown: String,
}

impl Report {
    fn verify(&self, requests: u64, body: u64, terms: Terms) -> anyhow::Result<()> {
        terms.verify(&self.negotiated)?;
        ensure!(
            self.succeeded == requests && self.status_2xx == requests,
            "not all of {requests} requests succeeded: {}",
            self.shown
        );
        let wanted = requests * body;
        let got = self.body_bytes;
        ensure!(
            got == wanted,
            "the bodies have {got} bytes in all instead of {wanted}"
        );
        Ok(())
    }
}

impl FromStr for Report {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let line = |start: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(start))
                .map(str::trim)
                .with_context(|| format!("no line {start:?}"))
        };
        // The number before a word, as in "200 succeeded, 0 failed".
        let before = |line: &str, word: &str| -> anyhow::Result<u64> {
            let item = line.split(", ").find_map(|item| item.strip_suffix(word));
            item.and_then(|number| number.trim().parse().ok())
                .with_context(|| format!("no number before {word:?} in {line:?}"))
        };
        let requests = line("requests:")?;
        let status = line("status codes:")?;
        // "253.91KB (260000) data"
        let traffic = line("traffic:")?;
        let data = traffic.split(", ").find(|item| item.ends_with(") data"));
        let body_bytes = data
            .and_then(|item| item.split(['(', ')']).nth(1)?.parse().ok())
            .with_context(|| format!("no bytes of data in {traffic:?}"))?;
        let finished = line("finished in")?;
        let rate = finished
            .split(", ")
            .find_map(|item| item.strip_suffix(" req/s")?.parse().ok())
            .with_context(|| format!("no rate in {finished:?}"))?;
        let key_exchange = match line("Server Temp Key:")? {
            key if key.starts_with("X25519 ") => "X25519",
            key if key.starts_with("ECDH prime256v1 ") => "P-256",
            other => bail!("key exchange {other:?}"),
        };
        Ok(Self {
            negotiated: Negotiated {
                version: line("TLS Protocol:")?.into(),
                cipher: line("Cipher:")?.into(),
                key_exchange: key_exchange.into(),
                alpn: line("Application protocol:")?.into(),
            },
            rate,
            succeeded: before(requests, "succeeded")?,
            status_2xx: before(status, "2xx")?,
            body_bytes,
            shown: format!("{requests}; {status}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{KeyExchange, KeyType};

    const OUTPUT: &str = "\
starting benchmark...
spawning thread #0: 10 total client(s). 20000 total requests
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
progress: 100% done

finished in 91.99ms, 217410.21 req/s, 8.10MB/s
requests: 20000 total, 20000 started, 20000 done, 19999 succeeded, 1 failed, 0 errored, 0 timeout
status codes: 19999 2xx, 0 3xx, 1 4xx, 0 5xx
traffic: 762.65KB (780950) total, 156.64KB (160400) headers (space savings 91.56%), 253.91KB (260000) data
                     min         max         mean         sd        +/- sd
time for request:      537us      5.41ms      1.28ms       497us    79.20%
";

    fn terms() -> Terms {
        Terms {
            group: Group::Tls13,
            key_type: KeyType::P256,
            key_exchange: KeyExchange::X25519,
            http: Http::Http2,
        }
    }

    #[test]
    fn report_is_parsed() {
        let report: Report = OUTPUT.parse().expect("h2load's own");
        assert_eq!(report.rate, 217_410.21);
        assert_eq!(report.body_bytes, 260_000);
        assert_eq!(
            report.negotiated.to_string(),
            "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519 h2"
        );
    }

    #[test]
    fn one_failed_request_is_an_error() {
        let report: Report = OUTPUT.parse().expect("h2load's own");
        let error = report.verify(20_000, 13, terms()).expect_err("one failed");
        assert!(error.to_string().contains("19999 2xx"), "{error}");
    }

    #[test]
    fn missing_byte_is_an_error() {
        let good = OUTPUT.replace("19999", "20000");
        let report: Report = good.parse().expect("h2load's own");
        report.verify(20_000, 13, terms()).expect("it is correct");
        let report: Report = good
            .replace("260000", "259999")
            .parse()
            .expect("h2load's own");
        report
            .verify(20_000, 13, terms())
            .expect_err("a byte is missing");
    }

    #[test]
    fn wrong_cipher_is_an_error() {
        let other = OUTPUT
            .replace("19999", "20000")
            .replace("AES_128_GCM_SHA256", "AES_256_GCM_SHA384");
        let report: Report = other.parse().expect("h2load's own");
        let error = report
            .verify(20_000, 13, terms())
            .expect_err("not what was asked for");
        assert!(error.to_string().contains("AES_256"), "{error}");
    }

    #[test]
    fn other_output_is_an_error() {
        "h2load: connection refused"
            .parse::<Report>()
            .expect_err("not a report");
    }
}
