//! Runs a server under callgrind and reads the counts.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use procfs::process::Process;

use crate::{
    client::Target,
    fixtures::Fixtures,
    interrupt,
    options::Http2Engine,
    server::Backend,
    servers::Running,
    terms::{Group, Http, KeyExchange, KeyType, Terms},
};

/// The time for callgrind to start (seconds) or to answer (milliseconds), with a reserve for busy
/// machines.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Server {
    running: Running,
    process: Process,
    /// The directory of callgrind's output and its pipes.
    directory: PathBuf,
    pub target: Target,
}

/// Counts of a server in user space.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub instructions: u64,
    pub allocations: u64,
}

impl Counts {
    /// The lower one of each count.
    pub fn or_less(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.min(other.instructions),
            allocations: self.allocations.min(other.allocations),
        }
    }
}

impl Server {
    pub fn start(
        program: &Path,
        (backend, group): (Backend, Group),
        http: Http,
        engine: Http2Engine,
        fixtures: &Fixtures,
    ) -> anyhow::Result<Self> {
        let scratch = fixtures.scratch()?;
        let directory = scratch.path().to_owned();
        let credentials = fixtures.credentials(KeyType::P256);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let addr = port.local_addr()?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "valgrind", "--tool=callgrind"])
            // Full names at each use, instead of numbers that refer to an earlier line.
            .args(["--compress-strings=no", "--compress-pos=no"])
            .arg(option("--callgrind-out-file", &directory, COUNTS))
            .arg(option("--vgdb-prefix", &directory, PIPES))
            .arg(program)
            .args(["--listen", &addr.to_string(), "--driver", "epoll"])
            .arg("--cert")
            .arg(&credentials.certificate)
            .arg("--key")
            .arg(&credentials.key)
            .arg("--bodies")
            .arg(fixtures.bodies())
            .args(["--tls", backend.name()]);
        if http == Http::Http1 {
            command.arg("--http1");
        }
        if engine != Http2Engine::H2 {
            // Not the default: an older build does not know the option.
            command.args(["--http2-engine", engine.name()]);
        }
        drop(port);
        let running = Running::spawn(command, addr, scratch, DEADLINE)?;
        let server = Self {
            process: Process::new(running.id().as_raw_nonzero().get())?,
            running,
            directory,
            target: Target {
                addr,
                terms: Terms {
                    group,
                    key_type: KeyType::P256,
                    key_exchange: KeyExchange::X25519,
                    http,
                },
                certificate: credentials.certificate,
                demonstration: false,
            },
        };
        server.wait_until_idle()?;
        Ok(server)
    }

    /// Returns when all threads of the server sleep. By then it has read everything that was sent before
    /// the last received response.
    pub fn wait_until_idle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while !self.is_idle()? {
            interrupt::check()?;
            ensure!(
                Instant::now() < deadline,
                "the server is still busy after 60 s: {}",
                self.running.log()
            );
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn is_idle(&self) -> anyhow::Result<bool> {
        let ended = || format!("the server has ended: {}", self.running.log());
        for task in self.process.tasks().with_context(ended)? {
            if task?.stat().with_context(ended)?.state != 'S' {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Resets the counts.
    pub fn zero(&self) -> anyhow::Result<()> {
        self.tell("zero")
    }

    /// The counts since the last reset.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        self.tell("dump")?;
        read(&fs::read_to_string(self.last_output()?)?)
    }

    /// Copies the output that the last counts were read from.
    pub fn keep_output(&self, file: &Path) -> anyhow::Result<()> {
        fs::copy(self.last_output()?, file)
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }

    fn last_output(&self) -> anyhow::Result<PathBuf> {
        // callgrind numbers its files.
        (1..)
            .map(|number| self.directory.join(format!("{COUNTS}.{number}")))
            .take_while(|file| file.exists())
            .last()
            .with_context(|| format!("callgrind wrote nothing: {}", self.running.log()))
    }

    fn tell(&self, what: &str) -> anyhow::Result<()> {
        let mut vgdb = Command::new("vgdb")
            .arg(format!("--pid={}", self.process.pid()))
            .arg(option("--vgdb-prefix", &self.directory, PIPES))
            .arg(what)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run vgdb, a part of valgrind")?;
        let deadline = Instant::now() + DEADLINE;
        while vgdb.try_wait()?.is_none() {
            if Instant::now() > deadline {
                vgdb.kill()?;
                vgdb.wait()?;
                return Err(Unanswered.into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        let output = vgdb.wait_with_output()?;
        ensure!(
            output.status.success(),
            "vgdb failed to send callgrind the command {what}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        self.wait_until_idle()
    }
}

/// vgdb and valgrind wait for each other, a race that occurs now and then.
#[derive(Debug)]
pub struct Unanswered;

impl std::error::Error for Unanswered {}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("callgrind does not answer")
    }
}

const COUNTS: &str = "callgrind.out";
const PIPES: &str = "vgdb";

fn option(name: &str, directory: &Path, file: &str) -> String {
    format!("{name}={}", directory.join(file).display())
}

/// The allocation functions of the system's library. Rust's allocator and the TLS libraries call these.
const ALLOCATING: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
];

/// Parses callgrind's output: `totals:` holds the instructions, and `calls=COUNT` follows each
/// `cfn=FUNCTION`.
fn read(counts: &str) -> anyhow::Result<Counts> {
    let (mut instructions, mut allocations, mut allocates) = (None, 0, false);
    for line in counts.lines() {
        if let Some(function) = line.strip_prefix("cfn=") {
            // An apostrophe is followed by the depth of a recursion.
            let name = function.split('\'').next().unwrap_or(function);
            allocates = ALLOCATING.contains(&name);
        } else if let Some(calls) = line.strip_prefix("calls=")
            && allocates
        {
            allocations += number(calls)?;
        } else if let Some(total) = line.strip_prefix("totals:") {
            instructions = Some(number(total)?);
        }
    }
    match instructions {
        Some(instructions) if allocations > 0 => Ok(Counts {
            instructions,
            allocations,
        }),
        _ => bail!("callgrind's output has no instructions or no allocations"),
    }
}

fn number(text: &str) -> anyhow::Result<u64> {
    let first = text.split_whitespace().next().context("no number")?;
    first
        .parse()
        .with_context(|| format!("{first:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_totals_are_parsed() {
        let output = "fn=main\n16 400\ncfn=malloc\ncalls=3 0 \n16 90\ncfn=malloc_usable_size\n\
                      calls=7 0 \n16 9\ncob=/lib/libc.so.6\ncfn=realloc'2\ncalls=1 0 \n16 80\n\
                      \ntotals: 579\n";
        let counts = read(output).expect("complete");
        assert_eq!((counts.instructions, counts.allocations), (579, 4));
    }

    #[test]
    fn output_without_counts_is_an_error() {
        assert!(read("fn=main\n16 400\n\ntotals: 400\n").is_err());
        assert!(read("cfn=malloc\ncalls=3 0 \n").is_err());
    }
}
