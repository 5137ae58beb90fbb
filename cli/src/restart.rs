//! Restarts without a lost connection: a new process takes the listening sockets over, from the
//! service manager or from the server that runs, which then answers what it has accepted and ends.

mod command;
mod inherited;
mod outcome;
mod pid_file;
mod program;
mod takeover;
mod upgrade;

use std::{path::PathBuf, time::Duration};

use clap::Args;

pub(crate) use self::{
    command::{UpgradeArgs, pass_on},
    inherited::{GIVEN, Inherited, SERVING, at},
    pid_file::PidFile,
    program::Program,
    takeover::{advise, look_at_the_kernel},
    upgrade::{Upgrade, kill_untrusted, tell, trust},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Restart")]
pub(crate) struct RestartArgs {
    /// Join servers that listen on the same port already, to take over from them when they are
    /// ended, instead of refusing to start. Loses nothing with net.ipv4.tcp_migrate_req=1.
    #[arg(long)]
    pub(crate) takeover: bool,

    /// Write the process id to this file once it serves, for corelane upgrade to find.
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,

    /// How long a new process, started by SIGUSR2 or corelane upgrade, may take until it serves;
    /// then it is ended and this one goes on.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        help_heading = "Limits"
    )]
    upgrade_timeout: u32,

    /// How long /readyz answers 503 before a signal ends the server, for load balancers to notice.
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
