//! The report for people.

use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use corelane::probe::{Outcome, Row, Verdict};

use super::judged::{Judged, Result};

/// The lines of the table above its rows.
const HEADING: usize = 2;

struct Colours {
    good: Style,
    bad: Style,
}

pub(super) fn write(judged: &Judged, coloured: bool, out: &mut impl Write) -> io::Result<()> {
    if judged.result() == Result::Unreachable {
        // One line on standard error says as much.
        return Ok(());
    }
    let colours = match coloured {
        true => Colours {
            good: AnsiColor::Green.on_default(),
            bad: AnsiColor::Red.on_default(),
        },
        false => Colours {
            good: Style::new(),
            bad: Style::new(),
        },
    };
    let rows = &judged.report.rows;
    for (index, line) in judged.report.to_string().trim_end().lines().enumerate() {
        let row = index.checked_sub(HEADING).and_then(|index| rows.get(index));
        write_line(line, row, &colours, out)?;
    }

    let style = match judged.result() {
        Result::Holds => colours.good,
        _ => colours.bad,
    };
    writeln!(out, "\n{style}{}{style:#}", summary(judged))?;
    for rule in judged.rules.iter().filter(|rule| !rule.broken.is_empty()) {
        let bad = colours.bad;
        writeln!(out, "{bad}{} does not hold:{bad:#}", rule.rule)?;
        for broken in &rule.broken {
            writeln!(out, "  {}", broken.why)?;
        }
    }
    Ok(())
}

/// A line of the table; its last column, the verdict, in colour.
fn write_line(
    line: &str,
    row: Option<&Row>,
    colours: &Colours,
    out: &mut impl Write,
) -> io::Result<()> {
    let coloured = row.and_then(|row| {
        let style = match row.verdict {
            Verdict::Conforms => colours.good,
            Verdict::Violates(_) => colours.bad,
            _ => return None,
        };
        let (rest, verdict) = line.rsplit_once("  ")?;
        Some((rest, verdict, style))
    });
    match coloured {
        Some((rest, verdict, style)) => writeln!(out, "{rest}  {style}{verdict}{style:#}"),
        None => writeln!(out, "{line}"),
    }
}

/// `13 of 15 answers conform to the RFCs, 2 violate them; 2 of 3 rules hold`.
fn summary(judged: &Judged) -> String {
    let made = |row: &&Row| !matches!(row.outcome, Outcome::Unsupported(_));
    let rows = judged.report.rows.iter().filter(made);
    let count = |is: fn(&Verdict) -> bool| rows.clone().filter(|row| is(&row.verdict)).count();
    let all = rows.clone().count();
    let conform = count(|verdict| *verdict == Verdict::Conforms);
    let violate = count(|verdict| matches!(verdict, Verdict::Violates(_)));
    let mut text = format!("{conform} of {all} answers conform to the RFCs");
    for (number, what) in [
        (violate, "violate them"),
        (all - conform - violate, "could not be judged"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    if !judged.rules.is_empty() {
        let hold = judged.rules.iter().filter(|rule| rule.broken.is_empty());
        text.push_str(&format!(
            "; {} of {} rules hold",
            hold.count(),
            judged.rules.len()
        ));
    }
    text
}
