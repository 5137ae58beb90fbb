//! A report as text.

use std::fmt;

use super::report::{Report, Verdict};

/// A table: two lines of heading, one line for each row, each broken rule once, and the
/// [note](Report::note), if any.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut broken: Vec<&str> = Vec::new();
        for row in &self.rows {
            if let Verdict::Violates(rule) = &row.verdict
                && !broken.contains(&&**rule)
            {
                broken.push(rule);
            }
        }
        let shown = |verdict: &Verdict| match verdict {
            Verdict::Violates(rule) => {
                let index = broken.iter().position(|other| other == rule);
                format!("VIOLATES [{}]", index.unwrap_or_default() + 1)
            }
            other => other.to_string(),
        };
        let heading = ["client", "offer", "answer", "time", "verdict"].map(str::to_owned);
        let mut lines = vec![heading];
        for row in &self.rows {
            lines.push([
                row.client.to_string(),
                row.offer.to_string(),
                row.outcome.to_string(),
                format!("{:.1} ms", row.time.as_secs_f64() * 1000.0),
                shown(&row.verdict),
            ]);
        }
        let mut widths = [0; 4];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let [client, offer, answer, time] = widths;
        writeln!(f, "{} as {}", self.addr, self.server_name)?;
        for [a, b, c, d, e] in &lines {
            writeln!(f, "{a:client$}  {b:offer$}  {c:answer$}  {d:>time$}  {e}")?;
        }
        for (index, rule) in broken.iter().enumerate() {
            writeln!(f, "[{}] {rule}", index + 1)?;
        }
        match self.note() {
            Some(note) => writeln!(f, "{note}"),
            None => Ok(()),
        }
    }
}
