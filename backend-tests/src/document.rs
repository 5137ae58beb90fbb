use std::{fs, path::Path};

use crate::{
    report::{Outcome, Report},
    rows::list::ROWS,
};

const BEGIN: &str = "<!-- backends: written by corelane-backend-tests -->\n";
const END: &str = "<!-- end of backends -->\n";

/// What a cell has before the kit of its backend has run.
const UNKNOWN: &str = "?";

/// Compares the table in a document with these reports: a row for each clause, a column for each backend.
/// Columns of other backends stay, so each can be written by a test of its own. If the environment
/// variable `UPDATE_DOCS` is set, the table is written instead.
///
/// It is between the lines `<!-- backends: written by corelane-backend-tests -->` and
/// `<!-- end of backends -->`.
///
/// # Panics
///
/// If a row fails, the document has no such lines, or the table is out of date.
pub fn check_table(file: impl AsRef<Path>, reports: &[Report]) {
    let file = file.as_ref();
    let name = file.display();
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (before, rest) = text
        .split_once(BEGIN)
        .unwrap_or_else(|| panic!("{name} has no line {BEGIN}"));
    let (found, after) = rest
        .split_once(END)
        .unwrap_or_else(|| panic!("{name} has no line {END}"));
    let mut table = Table::parse(found);
    for report in reports {
        table.set(report);
    }
    let wanted = table.print();
    if found == wanted {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = [before, BEGIN, &wanted, END, after].concat();
        fs::write(file, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        return;
    }
    panic!("the table in {name} is out of date; UPDATE_DOCS=1 writes it:\n\n{wanted}");
}

/// The columns: the name of a backend, and a cell for each of [`ROWS`].
struct Table(Vec<(String, Vec<String>)>);

impl Table {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(cells);
        let header = lines.next().unwrap_or_default();
        let lines: Vec<_> = lines.skip(1).collect();
        let columns = 1..header.len().saturating_sub(1);
        let column = |index: usize| {
            let cell = |name: &str| {
                let named = |line: &&Vec<&str>| line.last() == Some(&&*format!("`{name}`"));
                let line = lines.iter().find(named);
                let cell = line.and_then(|line| line.get(index));
                cell.map_or(UNKNOWN, |cell| cell).to_owned()
            };
            let cells = ROWS.iter().map(|row| cell(row.name));
            (header[index].to_owned(), cells.collect())
        };
        Self(columns.map(column).collect())
    }

    fn set(&mut self, report: &Report) {
        let cells = report.outcomes.iter().map(|(row, outcome)| match outcome {
            Outcome::Holds => "yes".to_owned(),
            Outcome::Lacks(what, why) => format!("no {what}: {}", why.replace('|', "/")),
            Outcome::DoesNotApply => "–".to_owned(),
            Outcome::Fails(why) => panic!("{}: {} fails: {why}", report.backend, row.name),
        });
        let cells = cells.collect();
        match self.0.iter_mut().find(|(name, _)| name == report.backend) {
            Some((_, column)) => *column = cells,
            None => self.0.push((report.backend.to_owned(), cells)),
        }
    }

    fn print(&self) -> String {
        let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let names = self.0.iter().map(|(name, _)| name.as_str());
        let header: Vec<_> = ["clause"].into_iter().chain(names).chain(["row"]).collect();
        let rule = vec!["---"; header.len()];
        let mut text = line(&header) + &format!("|{}|\n", rule.join("|"));
        for (index, row) in ROWS.iter().enumerate() {
            let name = format!("`{}`", row.name);
            let cells = self.0.iter().map(|(_, column)| column[index].as_str());
            let cells = [row.clause].into_iter().chain(cells).chain([&*name]);
            text += &line(&cells.collect::<Vec<_>>());
        }
        text
    }
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    line.split('|').map(str::trim).collect()
}
