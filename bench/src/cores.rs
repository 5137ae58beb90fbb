//! Who runs where.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context, ensure};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Two cores are enough: one for the server that is measured, one for the client.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    /// The second worker's, in the shape that has two: the client's too where there is no third.
    pub second: usize,
    pub client: usize,
}

impl Cores {
    pub fn choose() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot tell which cores may be used")?;
        let cores: Vec<_> = (0..CpuSet::MAX_CPU)
            .filter(|&cpu| allowed.is_set(cpu))
            .collect();
        ensure!(
            cores.len() >= 2,
            "a server and a client need a core each; this process may use one only"
        );
        Ok(Self {
            server: cores[0],
            second: cores[1],
            client: *cores.get(2).unwrap_or(&cores[1]),
        })
    }

    /// Keeps this process off the servers' core. What it starts chooses a core for itself.
    pub fn keep_to_client(&self) -> anyhow::Result<()> {
        let mut cores = CpuSet::new();
        cores.set(self.client);
        sched_setaffinity(None, &cores).context("cannot stay on the client's core")
    }

    /// The cores of a server with this many workers, one or two.
    pub fn of_workers(&self, workers: usize) -> Vec<usize> {
        [self.server, self.second]
            .into_iter()
            .take(workers)
            .collect()
    }
}

/// A command that stays on these cores, and that the kernel ends when this process is gone,
/// however it went.
pub fn pinned(cores: &[usize], program: impl AsRef<OsStr>) -> Command {
    command(cores, "TERM", program)
}

/// The same for what makes a load. It may be standing still when this process goes, and would take
/// no notice of SIGTERM until somebody lets it go on; there is nothing that it had to tidy up.
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

/// A thousand connections are open at once, on either side; children inherit this.
pub fn raise_open_files() -> anyhow::Result<()> {
    const WANTED: u64 = 4096;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < WANTED) {
        let raised = Rlimit {
            current: Some(WANTED),
            ..limit
        };
        setrlimit(Resource::Nofile, raised)
            .with_context(|| format!("cannot open {WANTED} files at once: see `ulimit -Hn`"))?;
    }
    Ok(())
}
