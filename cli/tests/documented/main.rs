//! Runs what the documents tell the reader to run, and checks the options, the configuration and the
//! messages that they show.

#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

#[path = "../support/mod.rs"]
mod support;

mod blocks;
mod clients;
mod examples;
mod inline;
mod messages;
mod not_run;
mod place;
mod states;
mod tables;

use std::os::unix::fs::PermissionsExt;

use blocks::{Command, commands, commands_in_comments, documents, read, templates};
use not_run::NotRun;
use place::Place;

/// The languages of blocks, each with a test that checks them.
const LANGUAGES: &[&str] = &[
    "console",
    "haproxy",
    "logrotate",
    "rust",
    "rust,ignore", // tests/documents.rs
    "rust,no_run", // cargo's documentation tests
    "text",
    "toml",
    "yaml",
];

#[test]
fn every_block_has_a_language_that_is_checked() {
    for block in documents().iter().flat_map(blocks::Document::blocks) {
        let known = LANGUAGES.contains(&block.language.as_str());
        assert!(
            known,
            "{}: nothing checks a block in {:?}",
            block.place, block.language
        );
    }
}

#[test]
fn every_command_line_runs_or_has_a_reason_not_to() {
    let mut not_run = NotRun::default();
    let mut groups = Vec::new();
    for document in documents() {
        let blocks = document.blocks();
        let console = blocks.iter().filter(|block| block.language == "console");
        groups.extend(console.map(commands));
    }
    groups.extend(templates().iter().map(commands_in_comments));
    let mut ran = 0;
    for group in groups {
        let mut place = None;
        for command in group.iter().filter(|command| !not_run.contains(command)) {
            if command.program().starts_with("ci/") {
                assert_script_has_options(command);
            } else {
                run(command, place.get_or_insert_with(Place::new));
            }
            ran += 1;
        }
    }
    assert!(ran > 25, "ran {ran} commands only");
    not_run.assert_exact();
}

/// The scripts of the repository run for minutes, and this test is part of some.
fn assert_script_has_options(command: &Command) {
    let Command { place, line, .. } = command;
    let path = format!("{}/../{}", env!("CARGO_MANIFEST_DIR"), command.program());
    let file = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{place}: {line}: {error}"));
    assert!(
        file.permissions().mode() & 0o100 != 0,
        "{place}: {path} is not executable"
    );
    let script = read(command.program());
    for option in line
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
    {
        assert!(
            script.contains(option),
            "{place}: {line}: the script has no {option}"
        );
    }
}

/// Where a block starts no server. The file decides the address.
const SERVER: &str =
    "env -u CORELANE_LISTEN corelane --config /etc/corelane.toml --pid-file /run/corelane/pid";

/// Programs that change nothing outside of the place.
const HARMLESS: &[&str] = &["corelane", "curl", "openssl", "(umask"];

fn run(command: &Command, place: &mut Place) {
    let Command {
        place: at,
        line,
        output: documented,
    } = command;
    let is_harmless = HARMLESS.contains(&command.program());
    assert!(
        is_harmless,
        "{at}: {line}: add the reason not to run it to not_run.rs"
    );
    let starts = command.program() == "corelane"
        && (command.subcommand().starts_with('-') || command.subcommand().is_empty());
    if starts {
        // The ellipsis stands for more options.
        return place.serve(at, line.trim_end_matches(['…', ' ']));
    }
    if !place.has_server() {
        place.serve(at, SERVER);
    }
    let fails = documented
        .first()
        .is_some_and(|line| line.starts_with("corelane: "));
    states::reach(documented, place);
    let output = place.run(line);
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    let shown = format!("{stdout}{stderr}");
    assert_eq!(output.status.success(), !fails, "{at}: {line}:\n{shown}");
    let shown = place.as_documented(&shown);
    for expected in documented {
        let expected = place.as_documented(expected);
        assert!(
            shown.lines().any(|line| line == expected),
            "{at}: no {expected:?} in\n{shown}"
        );
    }
}
