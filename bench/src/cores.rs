//! Which process runs on which core.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context, ensure};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Two cores are enough: one for the server, one for the client.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    /// The core of the second worker, in the shape with two. On a machine with two cores it is also the
    /// client's.
    pub second: usize,
    pub client: usize,
}

impl Cores {
    pub fn choose() -> anyhow::Result<Self> {
        let allowed =
            sched_getaffinity(None).context("cannot read which cores this process may use")?;
        let cores: Vec<_> = (0..CpuSet::MAX_CPU)
            .filter(|&cpu| allowed.is_set(cpu))
            .collect();
        ensure!(
            cores.len() >= 2,
            "a server and a client need one core each, but this process may use only one"
        );
        Ok(Self {
            server: cores[0],
            second: cores[1],
            client: *cores.get(2).unwrap_or(&cores[1]),
        })
    }

    /// Moves this process to the client's core. Processes that it starts choose their own.
    pub fn keep_to_client(&self) -> anyhow::Result<()> {
        let mut cores = CpuSet::new();
        cores.set(self.client);
        sched_setaffinity(None, &cores).context("cannot move to the client's core")
    }

    /// The cores of a server with this many workers, one or two.
    pub fn of_workers(&self, workers: usize) -> Vec<usize> {
        [self.server, self.second]
            .into_iter()
            .take(workers)
            .collect()
    }
}

/// A command that runs on these cores and that the kernel ends with SIGTERM when this process ends, even
/// after a crash.
pub fn pinned(cores: &[usize], program: impl AsRef<OsStr>) -> Command {
    command(cores, "TERM", program)
}

/// As [`pinned`], with SIGKILL, for the clients. A stopped process does not receive SIGTERM, and clients
/// have nothing to clean up.
pub fn pinned_load(core: usize, program: impl AsRef<OsStr>) -> Command {
    command(&[core], "KILL", program)
}

fn command(cores: &[usize], signal: &str, program: impl AsRef<OsStr>) -> Command {
    let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", signal, "taskset", "-c", &cores.join(",")])
        .arg(program);
    command
}

/// Raises the limit of open files, also for children: a thousand connections are open at a time.
pub fn raise_open_files() -> anyhow::Result<()> {
    raise_open_files_to(4096)
}

pub fn raise_open_files_to(wanted: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        setrlimit(Resource::Nofile, raised).with_context(|| {
            format!("cannot raise the limit of open files to {wanted}: see `ulimit -Hn`")
        })?;
    }
    Ok(())
}
