//! The report on restarts: bench/results/restarts.md.

use std::fmt::Write;

use super::{
    network::Network,
    servers::Method,
    traffic::{Counted, Outcomes},
};
use crate::{
    machine::Machine,
    report::{write_machine, write_report},
};

pub struct Run {
    pub machine: Machine,
    pub connections: u32,
    pub rate: f64,
    pub restarts: u32,
    pub cells: Vec<Cell>,
}

/// One method of restarting, on one network.
pub struct Cell {
    name: String,
    network: Network,
    /// Whether losses are a failure.
    judged: bool,
    result: Result<Counted, String>,
}

impl Cell {
    pub fn new(
        name: String,
        network: Network,
        method: Method,
        result: anyhow::Result<Counted>,
    ) -> Self {
        Self {
            name,
            network,
            judged: matches!(method, Method::Upgrade | Method::Takeover { migrate: true }),
            result: result.map_err(|error| format!("{error:#}")),
        }
    }

    pub fn is_ok(&self) -> bool {
        match &self.result {
            Ok(counted) => {
                let lost = counted.connections.lost() + counted.streams.lost();
                !self.judged || lost == 0
            }
            Err(_) => false,
        }
    }
}

pub fn line(cell: &Cell) -> String {
    match &cell.result {
        Ok(counted) => format!(
            "lost {} of {} connections, {} of {} streams",
            counted.connections.lost(),
            counted.connections.asked,
            counted.streams.lost(),
            counted.streams.asked
        ),
        Err(error) => format!("error: {error}"),
    }
}

pub fn write(run: &Run) -> anyhow::Result<()> {
    write_report("restarts.md", &markdown(run))
}

pub fn markdown(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_run(&mut text, run);
    text
}

fn write_run(out: &mut String, run: &Run) -> std::fmt::Result {
    write_machine(out, &run.machine)?;
    let Run {
        connections,
        rate,
        restarts,
        ..
    } = run;
    writeln!(
        out,
        "## Restarts\n\n\
         {restarts} restarts under {rate} new connections per second, {connections} in all, with one \
         request each, and 50 connections that stay open, with two streams of 0.4 s on each at any time. \
         Two workers. A request is lost if its response is incomplete; clients do not retry. Not \
         processed are requests that GOAWAY or REFUSED_STREAM reports as such: a client may retry them.\n"
    )?;
    writeln!(
        out,
        "| | network | connections lost | not processed | streams lost | not processed | streams | \
         reconnected | slowest, s | took, s |"
    )?;
    writeln!(
        out,
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for cell in &run.cells {
        let (name, network) = (&cell.name, cell.network);
        match &cell.result {
            Ok(it) => writeln!(
                out,
                "| {name} | {network} | {} | {} | {} | {} | {} | {} | {:.2} | {:.1} |",
                it.connections.lost(),
                it.connections.unprocessed,
                it.streams.lost(),
                it.streams.unprocessed,
                it.streams.asked,
                it.reconnected,
                it.slowest,
                it.seconds,
            )?,
            Err(_) => writeln!(out, "| {name} | {network} | error |")?,
        }
    }
    writeln!(out)?;
    for cell in &run.cells {
        let (name, network) = (&cell.name, cell.network);
        match &cell.result {
            Ok(it) => {
                write_causes(
                    out,
                    &format!("{name}, {network}, connections"),
                    &it.connections,
                )?;
                write_causes(out, &format!("{name}, {network}, streams"), &it.streams)?;
            }
            Err(error) => writeln!(out, "- **Error** in {name}, {network}: {error}")?,
        }
    }
    Ok(())
}

fn write_causes(out: &mut String, whose: &str, outcomes: &Outcomes) -> std::fmt::Result {
    for (cause, times) in &outcomes.lost {
        writeln!(out, "- {whose}: {times} × {cause}")?;
    }
    Ok(())
}
