//! Starts and restarts the servers.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{network::Namespaces, traffic::body};
use crate::{
    install::{self, path_with_sbin, succeed},
    server::Backend,
    site::Site,
    terms::KeyType,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `corelane upgrade`, which keeps the sockets.
    Upgrade,
    /// A second process with `--takeover`, then SIGTERM to the first one. `migrate` is
    /// `net.ipv4.tcp_migrate_req`.
    Takeover { migrate: bool },
    /// `nginx -s reload`.
    NginxReload,
}

pub fn name(method: Method, backend: Backend) -> String {
    let corelane = format!("corelane {}", backend.name());
    match method {
        Method::Upgrade => format!("{corelane}, SIGUSR2"),
        Method::Takeover { migrate: true } => format!("{corelane}, --takeover, tcp_migrate_req=1"),
        Method::Takeover { migrate: false } => format!("{corelane}, --takeover, tcp_migrate_req=0"),
        Method::NginxReload => "nginx -s reload".into(),
    }
}

/// A server that is restarted while clients use it.
pub struct Restartable<'a> {
    pub addr: SocketAddr,
    method: Method,
    backend: Backend,
    namespaces: &'a Namespaces,
    site: &'a Site,
    scratch: TempDir,
    /// The processes that the harness started.
    children: Vec<Child>,
    /// The processes that have been replaced.
    replaced: Vec<Pid>,
}

/// Time limit for a server to start, or to end after its clients have left.
const LIMIT: Duration = Duration::from_secs(45);

impl<'a> Restartable<'a> {
    /// Starts the server and waits until it accepts connections.
    pub fn start(
        method: Method,
        backend: Backend,
        namespaces: &'a Namespaces,
        site: &'a Site,
    ) -> anyhow::Result<Self> {
        let mut server = Self {
            addr: SocketAddr::from((namespaces.ip, 8443)),
            method,
            backend,
            namespaces,
            site,
            scratch: site.fixtures.scratch()?,
            children: Vec::new(),
            replaced: Vec::new(),
        };
        let command = match method {
            Method::NginxReload => server.nginx()?,
            _ => server.corelane(),
        };
        server.spawn(command)?;
        server.wait_for_another(None)?;
        Ok(server)
    }

    /// Returns when the new process serves and the old one has received its signal to end.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let old = self.running()?;
        match self.method {
            Method::Upgrade => {
                let mut upgrade = self.namespaces.for_server(program());
                let upgrade = upgrade
                    .arg("upgrade")
                    .arg("--pid-file")
                    .arg(self.pid_file());
                succeed(upgrade.stdout(Stdio::null()))?;
                self.replaced.push(old);
            }
            Method::Takeover { .. } => {
                let mut command = self.corelane();
                command.arg("--takeover");
                self.spawn(command)?;
                self.wait_for_another(Some(old))?;
                kill_process(old, Signal::TERM)?;
                self.replaced.push(old);
            }
            Method::NginxReload => {
                let mut reload = self.nginx()?;
                succeed(reload.args(["-s", "reload"]))?;
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// If a replaced process does not end, or the last one has ended.
    pub fn wait_until_replaced_have_ended(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        for &old in &self.replaced {
            while !has_ended(old) {
                ensure!(Instant::now() < deadline, "process {old:?} has not ended");
                thread::sleep(Duration::from_millis(20));
            }
        }
        ensure!(
            !has_ended(self.running()?),
            "the last process has ended too"
        );
        Ok(())
    }

    /// The last lines of its output.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.trim().lines().collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    fn pid_file(&self) -> PathBuf {
        self.scratch.path().join("pid")
    }

    fn running(&self) -> anyhow::Result<Pid> {
        let text = fs::read_to_string(self.pid_file()).context("cannot read the pid file")?;
        Pid::from_raw(text.trim().parse()?).context("the pid file holds no process id")
    }

    fn wait_for_another(&mut self, old: Option<Pid>) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.running().is_err() || self.running().ok() == old {
            if let Some(child) = self.children.last_mut()
                && let Some(status) = child.try_wait()?
            {
                bail!("did not start ({status}): {}", self.log());
            }
            ensure!(Instant::now() < deadline, "does not start: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn spawn(&mut self, mut command: Command) -> anyhow::Result<()> {
        let log = self.scratch.path().join("log");
        let log = File::options().create(true).append(true).open(log)?;
        command
            .env("PATH", path_with_sbin())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn();
        self.children
            .push(child.with_context(|| format!("cannot run {command:?}"))?);
        Ok(())
    }

    fn corelane(&self) -> Command {
        let credentials = self.site.fixtures.credentials(KeyType::P256);
        let mut command = self.namespaces.for_server(program());
        command
            .args(["--listen", &self.addr.to_string()])
            .args(["--workers", "2", "--tls", self.backend.name()])
            // On a machine too slow for the rate, connections that the default limits end would count as
            // lost.
            .args(["--max-handshakes", "16384", "--handshake-timeout", "60"])
            .arg("--cert")
            .arg(credentials.certificate)
            .arg("--key")
            .arg(credentials.key)
            .arg("--pid-file")
            .arg(self.pid_file());
        command
    }

    /// The files equal corelane's responses for the same paths.
    fn nginx(&self) -> anyhow::Result<Command> {
        let credentials = self.site.fixtures.credentials(KeyType::P256);
        let scratch = self.scratch.path();
        fs::create_dir_all(scratch.join("www/bytes"))?;
        for length in [super::traffic::SMALL, super::traffic::LARGE] {
            fs::write(scratch.join(format!("www/bytes/{length}")), body(length))?;
        }
        let text = format!(
            "daemon off;
user root;
pid {pid};
error_log stderr crit;
worker_processes 2;
worker_rlimit_nofile 4096;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    server {{
        listen {addr} ssl http2 backlog=4096;
        root {scratch}/www;
    }}
}}
",
            pid = self.pid_file().display(),
            scratch = scratch.display(),
            certificate = credentials.certificate.display(),
            key = credentials.key.display(),
            addr = self.addr,
        );
        let file = scratch.join("nginx.conf");
        fs::write(&file, text)?;
        let mut command = self.namespaces.for_server("nginx");
        command.env("PATH", path_with_sbin());
        command.args(["-e", "stderr", "-c"]).arg(file);
        Ok(command)
    }
}

impl Drop for Restartable<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether the process has ended, or is a zombie.
fn has_ended(pid: Pid) -> bool {
    let stat = Path::new("/proc")
        .join(pid.as_raw_nonzero().to_string())
        .join("stat");
    match fs::read_to_string(stat) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z")),
        Err(_) => true,
    }
}

fn program() -> PathBuf {
    install::root().join("target/release/corelane")
}
