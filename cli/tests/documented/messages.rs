//! Messages and metrics that the documents quote.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    blocks::{code_in, documents, read},
    tables::first_cells,
};

/// The heads of the columns of messages.
const HEADS: &[&str] = &["in the log", "message"];

/// The sources, with string literals that continue over lines as one line.
fn sources() -> String {
    fn read_into(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                read_into(&path, text);
            } else if path.extension().is_some_and(|it| it == "rs") {
                *text += &fs::read_to_string(&path).expect("text");
            }
        }
    }
    let mut text = String::new();
    for folder in ["src", "gateway/src", "ops/src", "cli/src", "probe/src"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        read_into(&root.join(folder), &mut text);
    }
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// What stands for a name or a number in a documented message.
const PLACEHOLDERS: &[&str] = &[
    "ADDR", "FILE", "KEY", "NAMES", "OPTION", "PID", "PROCESS", "…",
];

/// The parts of a message between placeholders.
fn parts(message: &str) -> Vec<&str> {
    let words = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        PLACEHOLDERS.contains(&word)
    };
    let mut parts = Vec::new();
    let mut rest = message;
    for placeholder in message.split(' ').filter(words) {
        let (before, after) = rest.split_once(placeholder).expect("a word of it");
        parts.push(before);
        rest = after;
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether the parts follow each other closely.
fn is_in(sources: &str, parts: &[&str]) -> bool {
    const APART: usize = 300;
    let (first, rest) = parts.split_first().expect("a message has words");
    sources.match_indices(first).any(|(start, _)| {
        let mut region = &sources[start + first.len()..];
        if region.len() > APART {
            let end = (APART..).find(|&end| region.is_char_boundary(end));
            region = &region[..end.expect("a boundary")];
        }
        rest.iter().all(|part| match region.split_once(part) {
            Some((_, after)) => {
                region = after;
                true
            }
            None => false,
        })
    })
}

#[test]
fn messages_in_tables_exist_in_the_source() {
    let sources = sources();
    let mut checked = 0;
    for document in documents() {
        for cell in first_cells(&document, HEADS) {
            let path = &document.path;
            let code = code_in(cell);
            // A cell may describe messages in words.
            let Some(message) = code.first() else {
                continue;
            };
            assert!(
                is_in(&sources, &parts(message)),
                "{path}: no source has {message:?}"
            );
            checked += 1;
        }
    }
    assert!(checked > 40, "checked {checked} messages only");
    assert!(!is_in(
        &sources,
        &parts("the certificate expires later: renew it")
    ));
}

/// Name to kind and the whole row.
type Metrics = BTreeMap<String, (String, String)>;

/// The metrics of docs/metrics.md.
fn metrics() -> Metrics {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        let name = cells[0].trim_matches(['|', ' ', '`']).to_owned();
        (name, (cells[1].to_owned(), row.to_owned()))
    })
    .collect()
}

#[test]
fn expressions_use_existing_metrics_and_labels() {
    let metrics = metrics();
    assert!(metrics.len() > 20, "{metrics:?}");
    let mut checked = 0;
    let documents = documents();
    for document in documents.iter().filter(|it| it.path.starts_with("docs/")) {
        for code in document.code() {
            let place = format!("{}: `{code}`", document.path);
            let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in words.filter(|it| PREFIXES.iter().any(|prefix| it.starts_with(prefix))) {
                let (kind, row) =
                    of(&metrics, name).unwrap_or_else(|| panic!("{place}: no {name}"));
                let (before, after) = code.split_once(name).expect("a word of it");
                let counts = before.ends_with("rate(") || before.ends_with("increase(");
                assert!(!counts || kind != "gauge", "{place}: {name} is a gauge");
                let labels = after.strip_prefix('{').and_then(|it| it.split('}').next());
                for label in labels.into_iter().flat_map(|it| it.split(',')) {
                    let (label, value) = label.split_once('=').expect("label=value");
                    assert!(
                        row.contains(&format!("`{label}`")),
                        "{place}: no label {label}"
                    );
                    assert!(
                        row.contains(value.trim_matches('"')),
                        "{place}: no value {value}"
                    );
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "checked {checked} names only");
}

const PREFIXES: &[&str] = &["corelane_", "process_"];

/// The metric of this name, or the histogram that has such a series.
fn of<'a>(metrics: &'a Metrics, name: &str) -> Option<&'a (String, String)> {
    let mut series = ["_bucket", "_sum", "_count"].iter();
    let histogram = series.find_map(|end| name.strip_suffix(end));
    metrics.get(name).or_else(|| metrics.get(histogram?))
}
