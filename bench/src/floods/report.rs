//! bench/results/floods.json and .md.

use std::{fmt::Write, fs};

use super::results::{Row, Run, ServerResult};
use crate::{
    install,
    report::{short, write_machine},
    statistics::Verdict,
};

pub fn write(run: &Run) -> anyhow::Result<()> {
    let directory = install::root().join("bench/results");
    fs::create_dir_all(&directory)?;
    let json = serde_json::to_string_pretty(run)? + "\n";
    fs::write(directory.join("floods.json"), json)?;
    fs::write(directory.join("floods.md"), markdown(run))?;
    Ok(())
}

pub fn markdown(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_run(&mut text, run);
    text
}

fn write_run(out: &mut String, run: &Run) -> std::fmt::Result {
    write_machine(out, &run.machine)?;
    for (row, server, error) in run.errors() {
        let (flood, group, name) = (row.flood, row.group, server.server.name());
        writeln!(out, "**Error** in {flood}, {name} ({group}): {error}\n")?;
    }
    writeln!(out, "## Verdicts\n")?;
    writeln!(
        out,
        "Share of a core that the attack takes, in percent; how often others wait as long as in peace.\n"
    )?;
    writeln!(
        out,
        "| flood | | corelane / nginx / h2o, % | corelane is not the worst | others wait, times | less than twofold |"
    )?;
    writeln!(out, "| --- | --- | ---: | --- | ---: | --- |")?;
    for row in &run.rows {
        let shares = each(row, |it| Some(short(it.figures()?.core_share * 100.0)));
        let latency = each(row, |it| Some(short(it.figures()?.latency_ratio)));
        writeln!(
            out,
            "| {} | {} | {shares} | {} | {latency} | {} |",
            row.flood,
            row.group,
            verdict(row.not_the_worst),
            verdict(row.others_served),
        )?;
    }
    for row in &run.rows {
        write_row(out, row)?;
    }
    Ok(())
}

fn each(row: &Row, cell: impl Fn(&ServerResult) -> Option<String>) -> String {
    let cells = row.servers.iter();
    let cells = cells.map(|it| cell(it).unwrap_or_else(|| "–".into()));
    cells.collect::<Vec<_>>().join(" / ")
}

fn verdict(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Met) => "yes",
        Some(Verdict::Missed) => "**no**",
        Some(Verdict::Undecided) => "undecided",
        None => "–",
    }
}

fn write_row(out: &mut String, row: &Row) -> std::fmt::Result {
    let Row {
        flood,
        what,
        counted,
        rate,
        group,
        ..
    } = row;
    writeln!(out, "\n## {flood}, {group}\n")?;
    writeln!(out, "{what}: {rate} {counted}s/s are offered.\n")?;
    writeln!(
        out,
        "| | what it does | {counted}s/s | % of a core | µs per {counted} | ms per MiB | by attackers' CPU | others wait, µs | in peace |"
    )?;
    writeln!(
        out,
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for server in &row.servers {
        let name = server.server.name();
        let Some(it) = server.figures() else {
            writeln!(out, "| {name} | error |")?;
            continue;
        };
        let does = match server.cut_off() {
            Some((how, after)) => format!(
                "{how} after {after:.0}, {:.0} connections/s",
                it.connections_per_second
            ),
            None if *counted == "connection" => "waits".into(),
            None => "reads on".into(),
        };
        writeln!(
            out,
            "| {name} | {does} | {:.0} | {} | {} | {} | {} | {:.0} | {:.0} |",
            it.rate,
            short(it.core_share * 100.0),
            short(it.microseconds_each),
            short(it.milliseconds_per_mebibyte),
            short(it.by_attackers_cpu),
            it.latency_attacked,
            it.latency_in_peace,
        )?;
    }
    Ok(())
}
