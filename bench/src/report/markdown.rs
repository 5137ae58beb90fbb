//! The figures as tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::number::short;
use crate::{
    machine::Machine,
    results::{ContenderResult, GroupResult, ShapeResult},
    run::Run,
    statistics::{Spread, Verdict},
};

pub fn markdown(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_run(&mut text, run);
    text
}

fn write_run(out: &mut String, run: &Run) -> std::fmt::Result {
    write_machine(out, &run.machine)?;
    write_negotiated(out, run)?;
    write_errors(out, run)?;
    write_goals(out, run)?;
    for shape in &run.shapes {
        write_shape(out, shape)?;
    }
    Ok(())
}

pub fn write_machine(out: &mut String, machine: &Machine) -> std::fmt::Result {
    let Machine {
        date,
        commit,
        cpu,
        cores,
        kernel,
        rustc,
        rounds,
        ..
    } = machine;
    let quick = if machine.quick { ", `--quick`" } else { "" };
    let governor = machine.governor.as_deref().unwrap_or("unknown");
    writeln!(
        out,
        "Measured {date} at commit {commit}: {rounds} rounds{quick}.\n"
    )?;
    writeln!(
        out,
        "{cpu}, {cores} cores, governor {governor}, Linux {kernel}, {rustc}."
    )?;
    writeln!(
        out,
        "Allocator: {}; driver: {}.",
        machine.allocator, machine.driver
    )?;
    let versions = machine
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"));
    writeln!(out, "{}.\n", versions.collect::<Vec<_>>().join(", "))
}

/// The parameters that each server negotiated, over all shapes.
fn write_negotiated(out: &mut String, run: &Run) -> std::fmt::Result {
    let mut negotiated: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let groups = run.shapes.iter().flat_map(|shape| &shape.groups);
    for server in groups.flat_map(|group| &group.servers) {
        if let Some(it) = &server.negotiated {
            let servers = negotiated.entry(it.to_string()).or_default();
            servers.insert(server.contender.server.name());
        }
    }
    writeln!(out, "Negotiated:\n")?;
    for (negotiated, servers) in negotiated {
        let servers: Vec<_> = servers.into_iter().collect();
        writeln!(out, "- {negotiated}: {}", servers.join(", "))?;
    }
    writeln!(out)
}

fn write_errors(out: &mut String, run: &Run) -> std::fmt::Result {
    for (shape, server, error) in run.errors() {
        let group = server.contender.group;
        writeln!(
            out,
            "**Error** in {shape}, {} ({group}): {error}\n",
            server.name
        )?;
    }
    Ok(())
}

fn write_goals(out: &mut String, run: &Run) -> std::fmt::Result {
    if run.goals.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Goals\n")?;
    writeln!(
        out,
        "| | shape | server | against | goal | measured | quartiles | |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | ---: | ---: | ---: | --- |")?;
    for goal in &run.goals {
        let verdict = match goal.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::Undecided => "undecided",
        };
        let against = goal.against.as_deref().unwrap_or("(KiB per connection)");
        let Spread {
            median,
            lower_quartile,
            upper_quartile,
            ..
        } = goal.measured;
        writeln!(
            out,
            "| {} | {} | {} | {against} | ≤ {} | {} | {} to {} | {verdict} |",
            goal.group,
            goal.shape,
            goal.of,
            short(goal.limit),
            short(median),
            short(lower_quartile),
            short(upper_quartile),
        )?;
    }
    writeln!(out)
}

fn write_shape(out: &mut String, shape: &ShapeResult) -> std::fmt::Result {
    let ShapeResult {
        name, what, unit, ..
    } = shape;
    writeln!(out, "## {name}\n\n{what}: {unit}\n")?;
    for group in &shape.groups {
        if let Some(rate) = shape.rates.get(&group.group) {
            writeln!(out, "{}: {rate:.0} requests per second.\n", group.group)?;
        }
    }
    let aside = shape.aside.unwrap_or_default();
    writeln!(
        out,
        "| | server | median | quartiles | min to max | {aside} | corelane to it |"
    )?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: |")?;
    for group in &shape.groups {
        for server in &group.servers {
            write_server(out, group, server)?;
        }
    }
    writeln!(out)?;
    for group in &shape.groups {
        for (server, why) in &group.left_out {
            writeln!(out, "{server} ({}) is not measured: {why}.\n", group.group)?;
        }
    }
    Ok(())
}

fn write_server(
    out: &mut String,
    group: &GroupResult,
    server: &ContenderResult,
) -> std::fmt::Result {
    let (group_name, name) = (group.group, &server.name);
    let Some(figure) = server.figure() else {
        return writeln!(out, "| {group_name} | {name} | error | | | | |");
    };
    let best = if group.best_peer.as_ref() == Some(name) {
        " (best peer)"
    } else {
        ""
    };
    let aside = server
        .aside()
        .map(|it| format!("{it:.0}"))
        .unwrap_or_default();
    writeln!(
        out,
        "| {group_name} | {name}{best} | {} | {} to {} | {} to {} | {aside} | {} |",
        short(figure.median),
        short(figure.lower_quartile),
        short(figure.upper_quartile),
        short(figure.min),
        short(figure.max),
        ratio(group, server).unwrap_or_default(),
    )
}

/// corelane's figure divided by this server's, marked if the rounds do not agree which one is lower.
fn ratio(group: &GroupResult, server: &ContenderResult) -> Option<String> {
    let subject = group.subject(server.contender.workers)?;
    if subject.contender == server.contender {
        return None;
    }
    let ratio = subject.ratio_to(server)?;
    let mark = match ratio.against(1.0) {
        Verdict::Undecided => " (undecided)",
        Verdict::Met | Verdict::Missed => "",
    };
    Some(format!("{:.2}{mark}", ratio.median))
}
