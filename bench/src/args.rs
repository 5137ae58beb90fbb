//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    contenders::{PEERS, Selection},
    options::{Allocator, Driver, Plan},
    server::Backend,
    shapes::{SHAPES, Shape},
};

/// Measures corelane against its peers. Run it in the repository: it installs and builds missing
/// programs, measures every shape in rounds, and writes bench/results/latest.{md,svg} and
/// target/bench/latest.json. A partial run (--quick, --shape, --peer, --backend, fewer than seven rounds) is
/// only printed.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Send a fifth of the requests in three rounds, with fewer servers and without tiny-x1-500: under
    /// five minutes.
    #[arg(long)]
    quick: bool,

    /// How often to measure each server. [default: 7, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Measure only this shape; repeatable.
    #[arg(long = "shape", value_name = "NAME", value_parser = shape)]
    shapes: Vec<&'static Shape>,

    /// Measure only this peer beside corelane's library; repeatable.
    #[arg(long = "peer", value_name = "NAME", value_parser = peer)]
    peers: Vec<String>,

    /// Measure servers that have a choice of TLS backends on this one only; repeatable.
    #[arg(long = "backend", value_name = "NAME", value_parser = backend)]
    backends: Vec<Backend>,

    /// List shapes and peers.
    #[arg(long)]
    pub list: bool,

    /// Use the servers of the last build.
    #[arg(long)]
    pub no_build: bool,

    /// The I/O driver of corelane. The peers have epoll, but for xitca-http in one of its rows.
    #[arg(long, value_enum, default_value = "auto")]
    pub driver: Driver,

    /// The allocator of all servers written in Rust.
    #[arg(long, value_enum, default_value = "system")]
    pub allocator: Allocator,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count the instructions and allocations of a request to corelane.
    Instructions(crate::instructions::Args),

    /// Attack corelane, nginx and h2o and report the cost of each attack.
    Floods(crate::floods::Args),

    /// Restart corelane and nginx under load and count the requests that clients lose. Needs root, for
    /// network namespaces.
    Restarts(crate::restarts::Args),

    /// Show how corelane's cost grows with connections, streams, sizes, identities and routes.
    Growth(crate::growth::Args),

    /// Measure handlers that wait for tokio, beside axum::serve.
    TokioPingpong(crate::pingpong::Args),

    /// The client's process, which the harness starts and which reads its job from standard input.
    #[command(hide = true)]
    Client,
}

/// Rounds of a whole run.
const ROUNDS: u32 = 7;

impl Args {
    pub fn plan(&self) -> Plan {
        let (rounds, divisor) = if self.quick { (3, 5) } else { (ROUNDS, 1) };
        Plan {
            rounds: self.rounds.unwrap_or(rounds),
            divisor,
            quick: self.quick,
        }
    }

    /// Whether the run measures everything that the results in `bench/results` hold.
    pub fn is_whole(&self) -> bool {
        let Plan { rounds, quick, .. } = self.plan();
        let all = self.shapes.is_empty() && self.peers.is_empty() && self.backends.is_empty();
        all && !quick && rounds >= ROUNDS
    }

    /// The servers that take part.
    pub fn selection(&self) -> Selection {
        Selection {
            quick: self.quick,
            peers: self.peers.clone(),
            backends: self.backends.clone(),
        }
    }

    pub fn shapes(&self) -> Vec<&'static Shape> {
        let wanted = |shape: &&Shape| match &self.shapes[..] {
            [] => shape.is_quick() || !self.quick,
            wanted => wanted.iter().any(|it| it.name == shape.name),
        };
        SHAPES.iter().filter(wanted).collect()
    }
}

fn shape(name: &str) -> Result<&'static Shape, String> {
    let names = || SHAPES.iter().map(|shape| shape.name).collect::<Vec<_>>();
    SHAPES
        .iter()
        .find(|shape| shape.name == name)
        .ok_or_else(|| format!("the shapes are {}", names().join(", ")))
}

fn peer(name: &str) -> Result<String, String> {
    match PEERS.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("the peers are {}", PEERS.join(", "))),
    }
}

pub fn backend(name: &str) -> Result<Backend, String> {
    let names = || Backend::ALL.map(Backend::name).join(", ");
    let mut all = Backend::ALL.into_iter();
    all.find(|it| it.name() == name)
        .ok_or_else(|| format!("the backends are {}", names()))
}

pub fn list() {
    println!("shapes:");
    for shape in &SHAPES {
        println!("  {:16} {}", shape.name, shape.what);
    }
    println!("peers:");
    for peer in PEERS {
        println!("  {peer}");
    }
}
