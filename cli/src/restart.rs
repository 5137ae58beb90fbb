//! Options of restarts without a lost connection, `corelane upgrade` and `corelane reload`.

use std::{error::Error, io::Write, path::PathBuf, time::Duration};

use clap::Args;
use corelane_ops::{PidFile, request_reload, request_upgrade};

#[derive(Debug, Args)]
#[command(next_help_heading = "Restart")]
pub(crate) struct RestartArgs {
    /// Share the port with servers that already listen on it instead of refusing to start, to take
    /// over when they end. No connection is lost with net.ipv4.tcp_migrate_req=1.
    #[arg(long)]
    pub(crate) takeover: bool,

    /// Write the process id to this file once the server serves, for corelane upgrade and corelane
    /// reload.
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,

    /// How long a new process, started by SIGUSR2 or corelane upgrade, may take until it serves.
    /// Then it is ended and the old process goes on.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        help_heading = "Limits"
    )]
    upgrade_timeout: u32,

    /// How long /readyz answers 503 before SIGINT, SIGTERM or SIGQUIT shuts the server down, so
    /// that load balancers notice.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        help_heading = "Limits"
    )]
    shutdown_delay: u32,
}

impl RestartArgs {
    pub(crate) fn upgrade_timeout(&self) -> Duration {
        Duration::from_secs(self.upgrade_timeout.into())
    }

    pub(crate) fn shutdown_delay(&self) -> Duration {
        Duration::from_secs(self.shutdown_delay.into())
    }
}

/// Replace the running server by a new process of the same program, as it is on disk now, with the
/// same arguments, without losing a connection.
///
/// Sends the server SIGUSR2. The new process gets the listening sockets. When it serves, the old one
/// answers what it has accepted, and ends. If it does not serve, the old one goes on, and the exit
/// status is 1.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// How long to wait for the outcome; it should exceed the server's --upgrade-timeout.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
}

/// Let the running server read its configuration file, certificates and other files again, without
/// closing a connection.
///
/// Sends the server SIGHUP. The flags and the environment are those of its start. What needs a restart
/// is named and left as it was. If the configuration or a file is invalid, nothing changes, and the
/// exit status is 1.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// How long to wait for the outcome.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// The server's --pid-file.
    #[arg(long, value_name = "FILE", required_unless_present = "pid")]
    pid_file: Option<PathBuf>,

    /// The server's process id.
    #[arg(long, value_name = "PID", conflicts_with = "pid_file")]
    pid: Option<u32>,
}

impl ServerArgs {
    fn process(&self) -> Result<u32, Box<dyn Error>> {
        match (&self.pid_file, self.pid) {
            (Some(file), _) => Ok(PidFile::read(file)?),
            (None, Some(pid)) => Ok(pid),
            (None, None) => Err("give --pid-file or --pid".into()),
        }
    }
}

impl UpgradeArgs {
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let server = self.server.process()?;
        let timeout = Duration::from_secs(self.timeout.into());
        let process = request_upgrade(server, timeout)?;
        let mut out = std::io::stdout();
        let _ = writeln!(out, "process {process} serves, process {server} drains");
        Ok(())
    }
}

impl ReloadArgs {
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        let server = self.server.process()?;
        let left = request_reload(server, Duration::from_secs(self.timeout.into()))?;
        let mut out = std::io::stdout();
        let _ = writeln!(out, "process {server} has reloaded");
        for what in left {
            let _ = writeln!(out, "not changed: {what}");
        }
        Ok(())
    }
}
