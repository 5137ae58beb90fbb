//! The servers: how each is started, and what is running.

mod h2o;
mod nghttpd;
mod nginx;
mod rust;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;

use crate::{
    accounting::Processes,
    contenders::Contender,
    fixtures::Credentials,
    measure::Site,
    terms::{Group, KeyType},
};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Backend {
    Rustls,
    NativeTls,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    Corelane(Backend),
    Hyper(Backend),
    Axum,
    Nginx,
    H2o,
    Nghttpd,
}

impl Backend {
    pub const ALL: [Self; 2] = [Self::Rustls, Self::NativeTls];

    /// What corelane calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rustls => "rustls",
            Self::NativeTls => "native-tls",
        }
    }
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Self::Corelane(Backend::Rustls) => "corelane rustls",
            Self::Corelane(Backend::NativeTls) => "corelane native-tls",
            Self::Hyper(Backend::Rustls) => "hyper + tokio-rustls",
            Self::Hyper(Backend::NativeTls) => "hyper + tokio-native-tls",
            Self::Axum => "axum-server",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Nghttpd => "nghttpd",
        }
    }

    /// What it goes by on the command line.
    pub fn family(self) -> &'static str {
        match self {
            Self::Corelane(_) => "corelane",
            Self::Hyper(_) => "hyper",
            other => other.name(),
        }
    }

    fn command(self, launch: &Launch) -> anyhow::Result<Command> {
        match self {
            Self::Corelane(backend) => Ok(rust::corelane(launch, backend)),
            Self::Hyper(backend) => Ok(rust::hyper(launch, backend)),
            Self::Axum => Ok(rust::axum(launch)),
            Self::Nginx => nginx::command(launch),
            Self::H2o => h2o::command(launch),
            Self::Nghttpd => Ok(nghttpd::command(launch)),
        }
    }
}

/// What a server is started with. The same for all.
struct Launch<'a> {
    site: &'a Site,
    /// For its configuration and whatever it writes.
    scratch: &'a Path,
    addr: SocketAddr,
    group: Group,
    workers: usize,
    credentials: Credentials,
}

impl Launch<'_> {
    fn pinned(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        crate::cores::pinned(&self.site.cores.of_workers(self.workers), program)
    }

    /// Writes a configuration file.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<std::path::PathBuf> {
        let path = self.scratch.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// Who may read what the harness wrote; servers give up root for somebody else.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A server that runs, and is stopped when this is dropped.
#[derive(Debug)]
pub struct Running {
    pub addr: SocketAddr,
    child: Child,
    scratch: TempDir,
    processes: Option<Processes>,
}

impl Running {
    /// Started, and accepting connections.
    pub fn start(contender: &Contender, key_type: KeyType, site: &Site) -> anyhow::Result<Self> {
        let scratch = site.fixtures.scratch()?;
        // Kept from being given to anybody else until the server is about to take it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let addr = port.local_addr()?;
        let launch = Launch {
            site,
            scratch: scratch.path(),
            addr,
            group: contender.group,
            workers: contender.workers,
            credentials: site.fixtures.credentials(key_type),
        };
        let command = contender.server.command(&launch)?;
        drop(port);
        Self::spawn(command, addr, scratch, Duration::from_secs(15))
    }

    /// Started by this command, and accepting connections within so much time. What it says is kept
    /// beside what else it writes.
    pub fn spawn(
        mut command: Command,
        addr: SocketAddr,
        scratch: TempDir,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let log = File::create(scratch.path().join("log"))?;
        command
            .env("PATH", path_with_sbin())
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // One group per server: all its processes are counted, and stopped, together.
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let mut running = Self {
            addr,
            child,
            scratch,
            processes: None,
        };
        running.wait_until_it_accepts(limit)?;
        Ok(running)
    }

    fn wait_until_it_accepts(&mut self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while TcpStream::connect_timeout(&self.addr, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("did not start ({status}): {}", self.log());
            }
            if Instant::now() > deadline {
                bail!("does not listen after {limit:?}: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The last thing it said.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.trim().lines().collect();
        match &lines[lines.len().saturating_sub(5)..] {
            [] => "it said nothing".into(),
            last => last.join("; "),
        }
    }

    /// Its processes; call it first when it has answered a request, as they are all there then.
    pub fn processes(&mut self) -> anyhow::Result<&Processes> {
        if let Some(status) = self.child.try_wait()? {
            bail!("has ended ({status}): {}", self.log());
        }
        if self.processes.is_none() {
            self.processes = Some(Processes::of_group(self.id())?);
        }
        self.processes.as_ref().context("they were found above")
    }

    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Without taking note of it, so that its process id stays its own.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.id()), options), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, as some have children to wait for, and then made to. Until it is waited for,
        // nobody else can have its process id.
        let _ = kill_process_group(self.id(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline && !self.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(self.id(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Debian keeps servers where only root looks for programs.
pub fn path_with_sbin() -> String {
    format!(
        "{}:/usr/sbin:/usr/local/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}
