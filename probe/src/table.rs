//! A report as text.

use std::fmt;

use super::{
    offer::Offer,
    report::{Report, Verdict},
};

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
                shortened(&row.offer),
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

/// The most names of an offer that a line shows.
const MOST_NAMES: usize = 6;

/// The offer, or the number of its names where they would make the table too wide.
fn shortened(offer: &Offer) -> String {
    match offer.protocols().len() {
        0..=MOST_NAMES => offer.to_string(),
        more => format!("{more} protocols"),
    }
}
