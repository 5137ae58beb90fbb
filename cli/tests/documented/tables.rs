//! Tables of documents.

use super::blocks::Document;

/// The cells of the first column of tables that have one of these heads in it.
pub(crate) fn first_cells<'a>(document: &'a Document, heads: &[&str]) -> Vec<&'a str> {
    let mut inside = false;
    let mut cells = Vec::new();
    for line in document.text.lines() {
        let Some(row) = line.strip_prefix("| ") else {
            // The line below the head.
            inside &= line.starts_with("|-");
            continue;
        };
        let cell = row.split(" | ").next().expect("a cell").trim();
        match inside {
            true => cells.push(cell),
            false => inside = heads.contains(&cell),
        }
    }
    cells
}
