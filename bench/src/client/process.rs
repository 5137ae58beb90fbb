//! A client of our own, for what h2load cannot do: resume sessions, tell a resumed handshake from a
//! full one, keep connections open, and attack. It runs as a process of its own, on the client's core.
//!
//! The order of things: a job on standard input, `"ready"` out, a line in, the outcome out (a
//! steady client goes on with the next line), and the end of the input ends the process with its
//! connections.

pub mod connection;
mod handshakes;
mod idle;
mod paced;
mod steady;
mod target;

use std::{
    io::{BufRead, BufReader, Write},
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

pub use self::target::{Target, negotiated};
use crate::{
    cores::{Cores, pinned_load},
    floods::{self, Attacked},
    generator::{self, Generator},
    restarts,
};

/// For one connection and its request, in a run of hundreds at once. Where loads take turns most of
/// it is others': each stands still for less than a second at a time.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize, Serialize)]
pub struct Job {
    pub target: Target,
    pub task: Task,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Task {
    /// Connects, asks once and closes, over and over.
    Handshakes { count: u32, resumed: bool },
    /// Connects, asks once and stays.
    Idle { connections: u32 },
    /// Asks at this many requests per second.
    Paced {
        requests: u32,
        connections: u32,
        rate: f64,
    },
    /// Asks at this many requests per second, as often as it is told to.
    Steady { connections: u32, rate: f64 },
    /// Floods, by its name.
    Flood { name: String, seconds: f64 },
    /// Connects at a rate and asks once, beside connections that stay.
    Restarts(restarts::Load),
}

/// What became of it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Done {
    pub seconds: f64,
    /// Microseconds that each request took, where that was the question.
    pub took: Vec<f64>,
    pub attacked: Option<Attacked>,
    pub restarts: Option<restarts::Counted>,
}

#[derive(Debug, Deserialize, Serialize)]
enum Answer {
    Ready,
    Done(Done),
    Failed(String),
}

/// The client's process, as the harness sees it. Dropping it ends it.
#[derive(Debug)]
pub struct Client {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Started and ready to go.
    pub fn start(job: &Job, cores: Cores) -> anyhow::Result<Self> {
        let this = this_program()?;
        Self::start_by(
            job,
            match job.task {
                // Whoever else is on this core comes first.
                Task::Flood { .. } => {
                    let mut command = pinned_load(cores.client, "nice");
                    command.args(["-n", "4"]).arg(this);
                    command
                }
                _ => pinned_load(cores.client, this),
            },
        )
    }

    /// By a command that runs [`this_program`].
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

    /// Lets it go, and waits until it is done. Connections that are to stay open do so until this is
    /// dropped.
    pub fn go(&mut self) -> anyhow::Result<Done> {
        self.begin("go")?;
        self.end()
    }

    /// Makes it stand still, about to go.
    pub fn stand_by(mut self) -> anyhow::Result<Self> {
        generator::stand_still(&self)?;
        self.begin("go")?;
        Ok(self)
    }

    pub fn begin(&mut self, order: &str) -> anyhow::Result<()> {
        self.say(order)
    }

    /// Waits until it is done.
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

    /// It says nothing between "ready" and the outcome, so that no answer has been read already.
    fn done(&self) -> BorrowedFd<'_> {
        self.answers.get_ref().as_fd()
    }

    fn verify(&mut self) -> anyhow::Result<()> {
        self.end().map(drop)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // By SIGKILL, which does not wait until the process goes on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot tell which program this is")
}

/// What the process does.
pub fn run() -> anyhow::Result<()> {
    let mut orders = std::io::stdin().lines();
    let mut order = || {
        orders
            .next()
            .context("no more orders")?
            .context("cannot read orders")
    };
    let job: Job = serde_json::from_str(&order()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut ready = || {
        answer(&Answer::Ready)?;
        order().map(drop)
    };
    let (target, mut open) = (&job.target, Vec::new());
    let done = match job.task {
        Task::Restarts(load) => {
            restarts::client(&runtime, target, &load, &mut ready).map(|counted| Done {
                seconds: counted.seconds,
                restarts: Some(counted),
                ..Done::default()
            })
        }
        Task::Handshakes { count, resumed } => {
            handshakes::run(&runtime, target, count, resumed, &mut ready)
        }
        Task::Idle { connections } => {
            idle::run(&runtime, target, connections, &mut ready).map(|(done, connections)| {
                open = connections;
                done
            })
        }
        Task::Paced {
            requests,
            connections,
            rate,
        } => paced::run(&runtime, target, requests, connections, rate, &mut ready),
        Task::Steady { connections, rate } => {
            let steady = steady::Steady::open(&runtime, target, connections, rate)?;
            answer(&Answer::Ready)?;
            while let Ok(requests) = order() {
                answer(&match steady.ask(&runtime, requests.parse()?) {
                    Ok(done) => Answer::Done(done),
                    Err(error) => Answer::Failed(format!("{error:#}")),
                })?;
            }
            return Ok(());
        }
        Task::Flood { name, seconds } => {
            floods::attack(&runtime, target, &name, seconds, &mut ready).map(|attacked| Done {
                seconds: attacked.seconds,
                attacked: Some(attacked),
                ..Done::default()
            })
        }
    };
    match done {
        Ok(done) => {
            answer(&Answer::Done(done))?;
            // Nothing comes any more; until the pipe is closed the connections stay.
            let _ = order();
            drop(open);
            Ok(())
        }
        Err(error) => answer(&Answer::Failed(format!("{error:#}"))),
    }
}

fn answer(answer: &Answer) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}
