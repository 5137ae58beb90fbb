//! The report as a table for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::{
    checked::{CheckResult, CheckedReport},
    outcome::Outcome,
    report::{Row, Verdict},
};

/// The number of lines above the table's rows.
const HEADING: usize = 2;

struct Colours {
    good: Style,
    bad: Style,
}

impl CheckedReport {
    /// Writes the report as a table, with what falls short below it; nothing if the server is
    /// unreachable. With `coloured`, it holds ANSI escape sequences.
    ///
    /// # Errors
    ///
    /// The writer fails.
    pub fn write_table(&self, mut out: impl Write, coloured: bool) -> io::Result<()> {
        if self.result() == CheckResult::Unreachable {
            // `unreachable_reason` says the same in one line.
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
        let rows = &self.report.rows;
        for (index, line) in self.report.to_string().trim_end().lines().enumerate() {
            let row = index.checked_sub(HEADING).and_then(|index| rows.get(index));
            write_line(line, row, &colours, &mut out)?;
        }

        let style = match self.result() {
            CheckResult::Holds => colours.good,
            _ => colours.bad,
        };
        writeln!(out, "\n{style}{}{style:#}", summary(self))?;
        for rule in self.rules.iter().filter(|rule| !rule.violations.is_empty()) {
            let bad = colours.bad;
            writeln!(out, "{bad}{} does not hold:{bad:#}", rule.rule)?;
            for violation in &rule.violations {
                writeln!(out, "  {}", violation.reason)?;
            }
        }
        Ok(())
    }
}

/// Writes a line of the table with its last column, the verdict, in colour.
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
            Verdict::NotJudged => return None,
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
fn summary(checked: &CheckedReport) -> String {
    let made = |row: &&Row| !matches!(row.outcome, Outcome::Unsupported(_));
    let rows = checked.report.rows.iter().filter(made);
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
    if !checked.rules.is_empty() {
        let hold = checked
            .rules
            .iter()
            .filter(|rule| rule.violations.is_empty());
        text.push_str(&format!(
            "; {} of {} rules hold",
            hold.count(),
            checked.rules.len()
        ));
    }
    text
}
