//! A server under callgrind, and what callgrind counted.

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
    server::Backend,
    servers::Running,
    terms::{KeyExchange, KeyType, Terms},
};

/// It starts in seconds and answers in milliseconds; on a busy machine, ten times that.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Server {
    running: Running,
    process: Process,
    /// Where callgrind writes to, and its pipes are.
    directory: PathBuf,
    pub target: Target,
}

/// What a server did in user space.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub instructions: u64,
    pub allocations: u64,
}

impl Counts {
    /// The least of both, one by one.
    pub fn or_less(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.min(other.instructions),
            allocations: self.allocations.min(other.allocations),
        }
    }
}

impl Server {
    pub fn start(program: &Path, backend: Backend, fixtures: &Fixtures) -> anyhow::Result<Self> {
        let scratch = fixtures.scratch()?;
        let directory = scratch.path().to_owned();
        let credentials = fixtures.credentials(KeyType::P256);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let addr = port.local_addr()?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "valgrind", "--tool=callgrind"])
            // Names stand where they are needed, and not as a number that was explained earlier.
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
        drop(port);
        let running = Running::spawn(command, addr, scratch, DEADLINE)?;
        let server = Self {
            process: Process::new(running.id().as_raw_nonzero().get())?,
            running,
            directory,
            target: Target {
                addr,
                terms: Terms {
                    group: backend.group(),
                    key_type: KeyType::P256,
                    key_exchange: KeyExchange::X25519,
                },
                certificate: credentials.certificate,
            },
        };
        server.rest()?;
        Ok(server)
    }

    /// Comes back when all its threads wait for something. What was sent to it before the answer
    /// that is already here has been seen by then.
    pub fn rest(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while !self.rests()? {
            interrupt::check()?;
            ensure!(
                Instant::now() < deadline,
                "the server does not come to rest: {}",
                self.running.log()
            );
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn rests(&self) -> anyhow::Result<bool> {
        let ended = || format!("the server has ended: {}", self.running.log());
        for task in self.process.tasks().with_context(ended)? {
            if task?.stat().with_context(ended)?.state != 'S' {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What it has done so far does not count.
    pub fn zero(&self) -> anyhow::Result<()> {
        self.tell("zero")
    }

    /// What it has done since then.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        self.tell("dump")?;
        // callgrind numbers what it writes.
        let file = (1..)
            .map(|number| self.directory.join(format!("{COUNTS}.{number}")))
            .take_while(|file| file.exists())
            .last()
            .with_context(|| format!("callgrind wrote nothing: {}", self.running.log()))?;
        read(&fs::read_to_string(file)?)
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
            "callgrind cannot be told to {what}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        self.rest()
    }
}

/// vgdb and valgrind have missed each other, as happens now and then: each waits for the other.
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

/// What hands out memory in the system's library. Rust's allocator and the TLS libraries go through
/// these.
const ALLOCATING: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
];

/// Reads callgrind's format: `totals:` has the instructions, and behind each `cfn=FUNCTION` comes
/// `calls=COUNT`.
fn read(counts: &str) -> anyhow::Result<Counts> {
    let (mut instructions, mut allocations, mut allocates) = (None, 0, false);
    for line in counts.lines() {
        if let Some(function) = line.strip_prefix("cfn=") {
            // Behind the apostrophe stands how deep a recursion is.
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
        _ => bail!("callgrind's output tells of no instructions or no allocations"),
    }
}

fn number(text: &str) -> anyhow::Result<u64> {
    let first = text.split_whitespace().next().context("no number")?;
    first
        .parse()
        .with_context(|| format!("{first:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_totals_are_read() {
        let output = "fn=main\n16 400\ncfn=malloc\ncalls=3 0 \n16 90\ncfn=malloc_usable_size\n\
                      calls=7 0 \n16 9\ncob=/lib/libc.so.6\ncfn=realloc'2\ncalls=1 0 \n16 80\n\
                      \ntotals: 579\n";
        let counts = read(output).expect("complete");
        assert_eq!((counts.instructions, counts.allocations), (579, 4));
    }

    #[test]
    fn a_run_that_counted_nothing_is_an_error() {
        assert!(read("fn=main\n16 400\n\ntotals: 400\n").is_err());
        assert!(read("cfn=malloc\ncalls=3 0 \n").is_err());
    }
}
