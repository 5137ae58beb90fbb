//! What restarts under load cost the clients. How and why: bench/README.md.

mod network;
mod report;
mod servers;
mod traffic;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use self::{
    network::{Network, Place},
    report::{Cell, Run},
    servers::{Restartable, Way},
};
use crate::{
    client::{self, Client, Job, Target, Task},
    cores, fixtures, install, interrupt, machine,
    options::{Allocator, Driver, Plan},
    server::Backend,
    site::Site,
    terms::{KeyExchange, KeyType, Terms},
};

pub use self::traffic::{Counted, Load, run as client};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// New connections in all, each with one request.
    #[arg(long, value_name = "N", default_value_t = 12_000)]
    connections: u32,

    /// New connections per second.
    #[arg(long, value_name = "N", default_value_t = 1_500.0)]
    rate: f64,

    /// Restarts in a row, spread over the time that takes.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    restarts: u32,

    /// Only rows whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Take corelane as it was built last.
    #[arg(long)]
    no_build: bool,
}

/// Connections that stay, and streams that each has open at any time.
const LONG_LIVED: u32 = 50;
const STREAMS: u32 = 2;

/// Each row is measured on either network.
const ROWS: [(Way, Backend); 5] = [
    (Way::Upgrade, Backend::Rustls),
    (Way::Upgrade, Backend::NativeTls),
    (Way::Takeover { migrate: true }, Backend::Rustls),
    (Way::Takeover { migrate: false }, Backend::Rustls),
    (Way::NginxReload, Backend::Rustls),
];

/// Whether nothing was lost where nothing is to be lost.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    interrupt::catch()?;
    cores::raise_open_files()?;
    if !args.no_build {
        install::succeed(
            Command::new("cargo")
                .args(["build", "--release", "--locked", "-p", "corelane-cli"])
                .args(["--features", "native-tls"])
                .current_dir(install::root()),
        )?;
    }
    let site = Site {
        fixtures: fixtures::Fixtures::make()?,
        cores: cores::Cores::choose()?,
        builds: install::Builds::new(Allocator::System, Driver::Auto),
        plan: Plan {
            rounds: 1,
            divisor: 1,
            quick: false,
        },
        limits_lifted: false,
    };
    let machine = machine::describe(&site)?;
    let mut cells = Vec::new();
    for network in [Network::Loopback, Network::Delayed] {
        for (way, backend) in ROWS {
            let name = servers::name(way, backend);
            if args.only.as_ref().is_some_and(|only| !name.contains(only)) {
                continue;
            }
            interrupt::check()?;
            eprintln!("{network}: {name}");
            let result = measure(args, network, way, backend, &site);
            let cell = Cell::new(name, network, way, result);
            eprintln!("  {}", report::line(&cell));
            cells.push(cell);
        }
    }
    let whole = args.only.is_none();
    let run = Run {
        machine,
        connections: args.connections,
        rate: args.rate,
        restarts: args.restarts,
        cells,
    };
    // A part of them is for looking at, and does not replace the whole.
    if whole {
        report::write(&run).context("cannot write the report")?;
    }
    print!("{}", report::markdown(&run));
    Ok(run.cells.iter().all(Cell::is_as_it_should_be))
}

fn measure(
    args: &Args,
    network: Network,
    way: Way,
    backend: Backend,
    site: &Site,
) -> anyhow::Result<Counted> {
    // New for each, as what is left of connections would be in the way of the next twelve thousand.
    let place = Place::make(network, way == Way::Takeover { migrate: true })?;
    let mut server = Restartable::start(way, backend, &place, site)?;
    let job = Job {
        target: Target {
            addr: server.addr,
            terms: Terms {
                group: backend.group(),
                key_type: KeyType::P256,
                key_exchange: KeyExchange::X25519,
            },
            certificate: site.fixtures.credentials(KeyType::P256).certificate,
        },
        task: Task::Restarts(Load {
            connections: args.connections,
            rate: args.rate,
            long_lived: LONG_LIVED,
            streams: STREAMS,
        }),
    };
    // It ends with this process, however that went.
    let mut command = place.for_client("setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(client::this_program()?);
    let mut client = Client::start_by(&job, command)?;
    client.begin("go")?;
    let begun = Instant::now();
    let lasts = Duration::from_secs_f64(f64::from(args.connections) / args.rate);
    for restart in 1..=args.restarts {
        let due = begun + lasts * restart / (args.restarts + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        server
            .restart()
            .with_context(|| format!("restart {restart}: {}", server.log()))?;
    }
    let done = client.end()?;
    server.only_the_last_one_runs()?;
    done.restarts.context("that was the client's task")
}
