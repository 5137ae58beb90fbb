//! What floods cost a server, and those it serves meanwhile. How and why: bench/README.md.

mod attacked;
mod attacker;
mod catalogue;
#[path = "../../../tests/conformance/frames.rs"]
mod frames;
#[path = "../../../tests/conformance/hpack.rs"]
mod hpack;
mod line;
mod measure;
mod report;
mod results;

use anyhow::Context;

use self::catalogue::{FLOODS, Flood};
pub use self::{attacked::Attacked, attacker::attack};
use crate::{
    cores, fixtures, install, interrupt, machine,
    options::{Allocator, Driver, Plan},
    site::Site,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often the servers take turns.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Only this flood; repeatable.
    #[arg(long = "flood", value_name = "NAME", value_parser = catalogue::named)]
    floods: Vec<&'static Flood>,

    /// List the floods.
    #[arg(long)]
    list: bool,

    /// Take the servers as they were built last.
    #[arg(long)]
    no_build: bool,

    /// What corelane runs on.
    #[arg(long, value_enum, default_value = "auto")]
    driver: Driver,
}

/// Whether nothing went wrong; what the floods did is in the report.
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
    let site = Site {
        fixtures: fixtures::Fixtures::make()?,
        cores: cores::Cores::choose()?,
        builds,
        plan: Plan {
            rounds: args.rounds,
            divisor: 1,
            quick: false,
        },
        limits_lifted: false,
    };
    let machine = machine::describe(&site)?;
    let wanted = |flood: &&Flood| {
        args.floods.is_empty() || args.floods.iter().any(|it| it.name == flood.name)
    };
    let mut rows = Vec::new();
    for flood in FLOODS.iter().filter(wanted) {
        rows.extend(measure::measure(flood, &site)?);
    }
    let run = results::Run { machine, rows };
    // A part of them is for looking at, and does not replace the whole.
    if args.floods.is_empty() {
        report::write(&run).context("cannot write the report")?;
    }
    print!("{}", report::markdown(&run));
    Ok(run.errors().count() == 0)
}
