//! The cost of floods to a server and to its other clients. bench/README.md explains the method.

mod attacked;
mod attacker;
mod catalogue;
mod connection;
mod measure;
mod report;
mod results;

use anyhow::Context;

use self::catalogue::{FLOODS, Flood};
pub use self::{attacked::Attacked, attacker::attack};
use crate::{
    cores, install, interrupt, machine,
    options::{Allocator, Driver, Http2Engine, Plan},
    site::Site,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often to attack each server.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Run only this flood; repeatable.
    #[arg(long = "flood", value_name = "NAME", value_parser = catalogue::named)]
    floods: Vec<&'static Flood>,

    /// List the floods.
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
}

/// Runs the floods. False if there was an error; the report says which one.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    if args.list {
        for flood in &FLOODS {
            println!("{:16} {}", flood.name, flood.what);
        }
        return Ok(true);
    }
    interrupt::catch()?;
    cores::raise_open_files()?;
    let builds = install::Builds::new(Allocator::System, args.driver);
    if !args.no_build {
        builds.make()?;
    }
    let plan = Plan {
        rounds: args.rounds,
        divisor: 1,
        quick: false,
    };
    let site = Site::choose(builds, plan)?;
    let machine = machine::describe(&site)?;
    let wanted = |flood: &&Flood| {
        args.floods.is_empty() || args.floods.iter().any(|it| it.name == flood.name)
    };
    let mut rows = Vec::new();
    for flood in FLOODS.iter().filter(wanted) {
        rows.extend(measure::measure(flood, args.http2_engine, &site)?);
    }
    let run = results::Run { machine, rows };
    // A partial run is only printed and does not replace the results of a whole one.
    if args.floods.is_empty() && args.http2_engine == Http2Engine::H2 {
        report::write(&run).context("cannot write the report")?;
    }
    print!("{}", report::markdown(&run));
    Ok(run.errors().count() == 0)
}
