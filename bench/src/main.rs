//! Measures corelane against its peers. How and why: bench/README.md.

#![forbid(unsafe_code)]

mod accounting;
mod args;
mod check;
mod client;
mod contenders;
mod cores;
mod fixtures;
mod floods;
mod generator;
mod goals;
mod growth;
mod h2load;
mod install;
mod instructions;
mod interrupt;
mod machine;
mod measure;
mod options;
mod pingpong;
mod progress;
mod report;
mod restarts;
mod results;
mod run;
mod sample;
mod server;
mod servers;
mod shapes;
mod site;
mod statistics;
mod terms;
mod turns;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::{
    args::{Args, Command},
    measure::Rounds,
    progress::Progress,
    run::Run,
    site::Site,
};

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Command::Client) => client::run().map(|()| true),
        Some(Command::Instructions(args)) => instructions::run(args),
        Some(Command::Floods(args)) => floods::run(args),
        Some(Command::Growth(args)) => growth::run(args),
        Some(Command::Restarts(args)) => restarts::run(args),
        Some(Command::TokioPingpong(args)) => pingpong::run(args),
        None if args.list => {
            args::list();
            Ok(true)
        }
        None => run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("corelane-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the comparison. False if a server failed; the report names it.
fn run(args: &Args) -> anyhow::Result<bool> {
    interrupt::catch()?;
    cores::raise_open_files()?;
    let builds = install::Builds::new(args.allocator, args.driver);
    let selection = args.selection();
    if !args.no_build {
        builds.make()?;
        if contenders::have_command(&args.shapes(), &selection) {
            builds.make_command()?;
        }
    }
    let site = Site {
        fixtures: fixtures::Fixtures::make()?,
        cores: cores::Cores::choose()?,
        builds,
        plan: args.plan(),
        limits_lifted: true,
        upstream: Default::default(),
    };
    let machine = machine::describe(&site)?;
    site.cores.keep_to_client()?;
    let rounds_of = |shape| Rounds::new(shape, contenders::of(shape, &selection), &site);
    let mut rounds: Vec<_> = args.shapes().into_iter().map(rounds_of).collect();
    let servers: u32 = rounds.iter().map(Rounds::servers).sum();
    let mut progress = Progress::new(servers * site.plan.rounds);
    for round in 1..=site.plan.rounds {
        for of_shape in &mut rounds {
            of_shape.take(round, &mut progress)?;
        }
    }
    let shapes = rounds.into_iter().map(Rounds::into_result);
    let run = Run::new(machine, shapes.collect());
    // A partial run is only printed and does not replace the results of a whole one.
    if args.is_whole() {
        report::write(&run).context("cannot write the report")?;
    }
    print!("{}", report::markdown(&run));
    Ok(run.errors().count() == 0)
}
