//! The report on growth: bench/results/growth.md.

use std::fmt::Write;

use super::{
    results::{Row, Run},
    sweeps::{Curve, Rule},
};
use crate::{
    report::{short, write_json, write_machine, write_report},
    statistics::Verdict,
};

pub fn write(run: &Run) -> anyhow::Result<()> {
    write_json("growth.json", run)?;
    write_report("growth.md", &markdown(run))
}

pub fn markdown(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_run(&mut text, run);
    text
}

fn write_run(out: &mut String, run: &Run) -> std::fmt::Result {
    write_machine(out, &run.machine)?;
    for row in &run.rows {
        if let Some(error) = &row.error {
            writeln!(out, "**Error** in {}: {error}\n", row.name)?;
        }
    }
    writeln!(
        out,
        "## Growth of {}\n\n\
         The exponent over the upper half of the points, and the one that is expected at most.\n\n\
         | row | from | to | figure | at the last point | at most | found | quartiles | |\n\
         | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |",
        run.server
    )?;
    for row in &run.rows {
        for (index, curve) in row.sweep.curves.iter().enumerate() {
            write_curve(out, row, index, curve)?;
        }
    }
    for row in &run.rows {
        write_points(out, row)?;
    }
    Ok(())
}

fn write_curve(out: &mut String, row: &Row, index: usize, curve: &Curve) -> std::fmt::Result {
    let growth = row.growth(index, curve);
    let (Some(found), Some(verdict)) = (growth.found, growth.verdict) else {
        return Ok(());
    };
    let (Some(first), Some(last)) = (row.points.first(), row.points.last()) else {
        return Ok(());
    };
    let most = match curve.rule {
        Rule::Exponent(most) => format!("n^{most}"),
        Rule::Difference(most) => format!("+{most}"),
        Rule::Aside => return Ok(()),
    };
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {most} | {:.2} | {:.2} to {:.2} | {} |",
        row.name,
        first.n,
        last.n,
        curve.what,
        format!("{} {}", cell(row.median(last, index)), curve.unit).trim_end(),
        found.median,
        found.lower_quartile,
        found.upper_quartile,
        match verdict {
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::Undecided => "undecided",
        },
    )
}

fn write_points(out: &mut String, row: &Row) -> std::fmt::Result {
    let curves = row.sweep.curves;
    let titles = curves.iter().map(|curve| match curve.unit {
        "" => format!(" {} |", curve.what),
        unit => format!(" {}, {unit} |", curve.what),
    });
    writeln!(
        out,
        "\n## {}\n\nn: {}.\n\n| n |{}\n| ---: |{}",
        row.name,
        row.sweep.what,
        titles.collect::<String>(),
        " ---: |".repeat(curves.len())
    )?;
    for point in &row.points {
        let cells = (0..curves.len()).map(|index| format!(" {} |", cell(row.median(point, index))));
        writeln!(out, "| {} |{}", point.n, cells.collect::<String>())?;
    }
    Ok(())
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".into(), short)
}
