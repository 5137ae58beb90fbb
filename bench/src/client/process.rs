//! The client's process, as the harness sees it.

use std::{
    io::{BufRead, BufReader, Write},
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, bail};
use rustix::process::Pid;

use super::job::{Answer, Done, Job, Task};
use crate::{
    cores::{Cores, pinned_load},
    generator::{self, Generator},
};

/// Dropping it ends the process.
#[derive(Debug)]
pub struct Client {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Starts the process and waits until it is ready.
    pub fn start(job: &Job, cores: Cores) -> anyhow::Result<Self> {
        let this = this_program()?;
        Self::start_by(
            job,
            match job.task {
                // Attackers give way to the other clients on their core.
                Task::Flood { .. } => {
                    let mut command = pinned_load(cores.client, "nice");
                    command.args(["-n", "4"]).arg(this);
                    command
                }
                _ => pinned_load(cores.client, this),
            },
        )
    }

    /// As [`Self::start`], by a command that runs [`this_program`].
    pub fn start_by(job: &Job, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .arg("client")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run the client")?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("both are pipes by the lines above");
        };
        let mut client = Self {
            child,
            orders,
            answers: BufReader::new(answers),
        };
        client.say(&serde_json::to_string(job)?)?;
        match client.answer()? {
            Answer::Ready => Ok(client),
            other => bail!("the client is not ready: {other:?}"),
        }
    }

    /// Lets the client start and waits until it is done. Connections that the task keeps open stay
    /// open until this is dropped.
    pub fn go(&mut self) -> anyhow::Result<Done> {
        self.begin("go")?;
        self.end()
    }

    /// Stops the process with its first step pending.
    pub fn stand_by(mut self) -> anyhow::Result<Self> {
        generator::stop(&self)?;
        self.begin("go")?;
        Ok(self)
    }

    pub fn begin(&mut self, order: &str) -> anyhow::Result<()> {
        self.say(order)
    }

    /// Waits until the client is done.
    pub fn end(&mut self) -> anyhow::Result<Done> {
        match self.answer()? {
            Answer::Done(done) => Ok(done),
            other => bail!("the client is not done: {other:?}"),
        }
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.orders, "{line}").context("the client has ended")
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line).context("the client has ended")? {
            Answer::Failed(why) => bail!(why),
            answer => Ok(answer),
        }
    }
}

impl Generator for Client {
    fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Between `Ready` and `Done` the client writes nothing, so the buffer holds no unread answer.
    fn done(&self) -> BorrowedFd<'_> {
        self.answers.get_ref().as_fd()
    }

    fn verify(&mut self) -> anyhow::Result<()> {
        self.end().map(drop)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SIGKILL, which ends a stopped process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot tell which program this is")
}
