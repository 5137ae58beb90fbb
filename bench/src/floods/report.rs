//! The report on floods: bench/results/floods.md, and the costs in docs/security.md.

use std::{fmt::Write, fs};

use super::results::{Row, Run, ServerResult};
use crate::{
    install,
    report::{short, write_json, write_machine, write_report},
    statistics::Verdict,
};

pub fn write(run: &Run) -> anyhow::Result<()> {
    write_json("floods.json", run)?;
    write_report("floods.md", &markdown(run))?;
    let document = install::root().join("docs/security.md");
    let text = with_costs(&fs::read_to_string(&document)?, &run.rows);
    Ok(fs::write(document, text)?)
}

/// Writes the cost behind each flood's name, in table rows whose last cell lists floods.
fn with_costs(text: &str, rows: &[Row]) -> String {
    let line = |line: &str| {
        let cells = line.strip_suffix(" |")?;
        let (cells, entries) = cells.rsplit_once("| ")?;
        let cost_of = |entry: &str| {
            let name = entry.split(' ').next()?;
            let row = rows.iter().find(|row| row.flood == name)?;
            Some(format!("{name} {}", cost(row)))
        };
        let costs: Option<Vec<_>> = entries.split("; ").map(cost_of).collect();
        Some(format!("{cells}| {} |", costs?.join("; ")))
    };
    let lines = text.lines();
    lines
        .map(|it| line(it).unwrap_or_else(|| it.to_owned()) + "\n")
        .collect()
}

/// CPU time for each frame that the attackers offered.
fn cost(row: &Row) -> String {
    each(row, |it| {
        Some(short(it.figures()?.microseconds_each_offered))
    })
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
        "Server CPU time per frame, record or connection offered; how many times as long others wait as without the flood.\n"
    )?;
    writeln!(
        out,
        "| flood | | corelane / nginx / h2o, µs | corelane is not the worst | others wait, times | less than twofold |"
    )?;
    writeln!(out, "| --- | --- | ---: | --- | ---: | --- |")?;
    for row in &run.rows {
        let costs = cost(row);
        let latency = each(row, |it| Some(short(it.figures()?.latency_ratio)));
        writeln!(
            out,
            "| {} | {} | {costs} | {} | {latency} | {} |",
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
        "| | what it does | {counted}s/s | % of a core | µs per {counted} | ms per MiB | by attackers' CPU | others wait, µs | without flood |"
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
            it.latency_before,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        floods::{
            attacked::Attacked,
            catalogue,
            results::{Row, Sample},
        },
        server::{Backend, Server},
        terms::Group,
    };

    fn row(name: &str, cpu_seconds: [f64; 3]) -> Row {
        let flood = catalogue::named(name).expect("a flood");
        let servers = [
            Server::Corelane(Backend::Rustls),
            Server::Nginx,
            Server::H2o,
        ];
        let results = servers.into_iter().zip(cpu_seconds).map(|(server, cpu)| {
            let sample = Sample {
                cpu_seconds: cpu,
                offered: 1_000_000,
                latency_before: 100.0,
                latency_attacked: 150.0,
                attack: Attacked {
                    seconds: 1.0,
                    sent: 10,
                    ..Attacked::default()
                },
            };
            ServerResult {
                server,
                samples: vec![sample; 3],
                error: None,
            }
        });
        Row::new(flood, Group::Tls13, results.collect())
    }

    #[test]
    fn costs_are_written_behind_flood_names_only() {
        let rows = [
            row("ping", [0.5, 0.25, 1.0]),
            row("settings", [2.0, 1.0, 1.5]),
        ];
        let text =
            "| PING | `a::b` | ping; settings 9 / 9 |\n| others | ping, or so |\nping |\n| x | |\n";
        assert_eq!(
            with_costs(text, &rows),
            "| PING | `a::b` | ping 0.50 / 0.25 / 1.00; settings 2.00 / 1.00 / 1.50 |\n\
             | others | ping, or so |\nping |\n| x | |\n"
        );
    }

    #[test]
    fn worst_server_is_the_one_with_the_highest_cost() {
        let [best, worst] = [[0.5, 0.25, 1.0], [2.0, 1.0, 1.5]].map(|cpu| row("ping", cpu));
        assert_eq!(best.not_the_worst, Some(Verdict::Met));
        assert_eq!(worst.not_the_worst, Some(Verdict::Missed));
        assert_eq!(worst.others_served, Some(Verdict::Met));
    }
}
