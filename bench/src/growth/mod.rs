//! How corelane's cost grows with connections, streams, sizes, identities and routes. bench/README.md
//! explains the method.

mod client;
mod exponent;
mod identities;
mod load;
mod measure;
mod report;
mod results;
mod sweeps;

use anyhow::Context;

use self::{
    measure::Bench,
    results::{Row, Run},
    sweeps::{SWEEPS, Sweep},
};
use crate::{
    args, cores, install, interrupt, machine,
    options::{Allocator, Driver, Http2Engine, Plan},
    server::{Backend, Server},
    site::Site,
};

pub use self::{client::Client, load::Load};

/// Rounds of a whole run.
const ROUNDS: u32 = 3;

/// Ten thousand connections, and the rest of the process.
const OPEN_FILES: u64 = 10_500;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often to measure each point.
    #[arg(long, value_name = "N", default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Measure only this row; repeatable.
    #[arg(long, value_name = "ROW", value_parser = sweeps::named)]
    only: Vec<&'static Sweep>,

    /// List the rows.
    #[arg(long)]
    list: bool,

    /// Use the servers of the last build.
    #[arg(long)]
    no_build: bool,

    /// The I/O driver of corelane.
    #[arg(long, value_enum, default_value = "auto")]
    driver: Driver,

    /// The HTTP/2 engine of corelane. The results of another one than the default are only printed.
    #[arg(long, value_enum, default_value = "h2")]
    http2_engine: Http2Engine,

    /// The TLS backend of corelane's library. The results of another one than the default are only
    /// printed.
    #[arg(long, value_name = "NAME", default_value = "rustls", value_parser = args::backend)]
    backend: Backend,
}

impl Args {
    fn sweeps(&self) -> Vec<&'static Sweep> {
        let wanted = |sweep: &&Sweep| {
            self.only.is_empty() || self.only.iter().any(|it| it.name == sweep.name)
        };
        SWEEPS.iter().filter(wanted).collect()
    }

    /// Whether the run measures what the results in `bench/results` hold.
    fn is_whole(&self) -> bool {
        self.only.is_empty()
            && self.rounds >= ROUNDS
            && self.http2_engine == Http2Engine::H2
            && self.backend == Backend::Rustls
    }
}

/// Measures all rows. False if there was an error; the report says which one.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    if args.list {
        for sweep in &SWEEPS {
            println!("{:12} {}", sweep.name, sweep.what);
        }
        return Ok(true);
    }
    interrupt::catch()?;
    let builds = install::Builds::new(Allocator::System, args.driver);
    let mut rows: Vec<_> = args.sweeps().into_iter().map(Row::new).collect();
    let have = |name| rows.iter().any(|row| row.name == name);
    match have("connections") {
        true => cores::raise_open_files_to(OPEN_FILES)?,
        false => cores::raise_open_files()?,
    }
    if !args.no_build {
        builds.make_program("corelane")?;
        if have("routes") {
            builds.make_command()?;
        }
    }
    let plan = Plan {
        rounds: args.rounds,
        divisor: 1,
        quick: false,
    };
    let site = Site::choose(builds, plan)?;
    let machine = machine::describe(&site)?;
    site.cores.keep_to_client()?;
    let bench = Bench {
        site: &site,
        backend: args.backend,
        engine: args.http2_engine,
    };
    for round in 1..=args.rounds {
        for row in &mut rows {
            take(&bench, row, round)?;
        }
    }
    let server = match args.http2_engine {
        Http2Engine::H2 => Server::Corelane(args.backend),
        Http2Engine::Corelane => Server::CorelaneHttp2(args.backend),
    };
    let run = Run {
        machine,
        server: server.name(),
        rows,
    };
    // A partial run is only printed and does not replace the results of a whole one.
    if args.is_whole() {
        report::write(&run).context("cannot write the report")?;
    }
    print!("{}", report::markdown(&run));
    Ok(run.rows.iter().all(|row| row.error.is_none()))
}

/// Measures all points of a row once, in the opposite order in each other round.
///
/// # Errors
///
/// Only if a signal stops the run. A failure of a measurement ends the row.
fn take(bench: &Bench, row: &mut Row, round: u32) -> anyhow::Result<()> {
    let sweep = row.sweep;
    let mut points: Vec<_> = row.points.iter_mut().collect();
    if round.is_multiple_of(2) {
        points.reverse();
    }
    for point in points {
        interrupt::check()?;
        if row.error.is_some() {
            break;
        }
        match (sweep.measure)(bench, point.n) {
            Ok(figures) => {
                eprintln!("{:12} round {round}: {:6} {figures:.2?}", row.name, point.n);
                point.rounds.push(figures);
            }
            Err(error) => {
                eprintln!("ERROR: {} {}: {error:#}", row.name, point.n);
                row.error = Some(format!("at {}: {error:#}", point.n));
            }
        }
    }
    Ok(())
}
