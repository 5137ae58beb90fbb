//! Restarts servers under load and counts the requests that clients lose. bench/README.md explains
//! the method.

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
    network::{Namespaces, Network},
    report::{Cell, Run},
    servers::{Method, Restartable},
};
use crate::{
    client::{self, Client, Job, Target, Task},
    cores, install, interrupt, machine,
    options::{Allocator, Driver, Plan},
    server::Backend,
    site::Site,
    terms::{Http, KeyExchange, KeyType, Terms},
};

pub use self::traffic::{Counted, Load, run as client};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// New connections, each with one request.
    #[arg(long, value_name = "N", default_value_t = 12_000)]
    connections: u32,

    /// New connections per second.
    #[arg(long, value_name = "N", default_value_t = 1_500.0)]
    rate: f64,

    /// Restarts, spread evenly over the run.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    restarts: u32,

    /// Measure only the rows whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Use corelane's last build.
    #[arg(long)]
    no_build: bool,
}

/// Connections that stay open, and the open streams on each.
const LONG_LIVED: u32 = 50;
const STREAMS: u32 = 2;

/// The rows. Each is measured on both networks.
const ROWS: [(Method, Backend); 5] = [
    (Method::Upgrade, Backend::Rustls),
    (Method::Upgrade, Backend::NativeTls),
    (Method::Takeover { migrate: true }, Backend::Rustls),
    (Method::Takeover { migrate: false }, Backend::Rustls),
    (Method::NginxReload, Backend::Rustls),
];

/// Measures all rows. False if a restart that must lose nothing lost something.
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
    let plan = Plan {
        rounds: 1,
        divisor: 1,
        quick: false,
    };
    let builds = install::Builds::new(Allocator::System, Driver::Auto);
    let site = Site::choose(builds, plan)?;
    let machine = machine::describe(&site)?;
    let mut cells = Vec::new();
    for network in [Network::Loopback, Network::Delayed] {
        for (method, backend) in ROWS {
            let name = servers::name(method, backend);
            if args.only.as_ref().is_some_and(|only| !name.contains(only)) {
                continue;
            }
            interrupt::check()?;
            eprintln!("{network}: {name}");
            let result = measure(args, network, method, backend, &site);
            let cell = Cell::new(name, network, method, result);
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
    // A partial run is only printed and does not replace the results of a whole one.
    if whole {
        report::write(&run).context("cannot write the report")?;
    }
    print!("{}", report::markdown(&run));
    Ok(run.cells.iter().all(Cell::is_ok))
}

fn measure(
    args: &Args,
    network: Network,
    method: Method,
    backend: Backend,
    site: &Site,
) -> anyhow::Result<Counted> {
    // New namespaces for each row, without the closed connections of the row before.
    let namespaces = Namespaces::make(network, method == Method::Takeover { migrate: true })?;
    let mut server = Restartable::start(method, backend, &namespaces, site)?;
    let job = Job {
        target: Target {
            addr: server.addr,
            terms: Terms {
                group: backend.group(),
                key_type: KeyType::P256,
                key_exchange: KeyExchange::X25519,
                http: Http::Http2,
            },
            certificate: site.fixtures.credentials(KeyType::P256).certificate,
            demonstration: false,
        },
        task: Task::Restarts(Load {
            connections: args.connections,
            rate: args.rate,
            long_lived: LONG_LIVED,
            streams: STREAMS,
        }),
    };
    // The kernel ends the client with this process, even after a crash.
    let mut command = namespaces.for_client("setpriv");
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
    server.wait_until_replaced_have_ended()?;
    done.restarts.context("the client reports restarts")
}
