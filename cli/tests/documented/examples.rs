//! Configuration in fenced blocks, of this command and of programs around it.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::{
    blocks::{Block, Document, documents, read},
    place::Place,
};
use crate::support::yaml::yaml;

/// The blocks in a language, in all documents.
fn blocks(language: &str) -> Vec<Block> {
    let documents = documents();
    let all = documents.iter().flat_map(Document::blocks);
    all.filter(|block| block.language == language).collect()
}

fn the_block(language: &str) -> Block {
    let mut blocks = blocks(language);
    assert_eq!(blocks.len(), 1, "blocks in {language}");
    blocks.remove(0)
}

/// Checks a file by a program that may not be installed.
fn accepted_by(program: &str, args: &[&str], text: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("configuration");
    fs::write(&file, text).expect("written");
    // Debian installs some servers in a directory that is only in root's PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let output = Command::new(program)
        .env("PATH", path)
        .args(args)
        .arg(&file)
        .output();
    let Ok(output) = output else {
        eprintln!("NOT TESTED: {program} is not installed (`ci/setup servers` installs it)");
        return;
    };
    assert!(output.status.success(), "{program} on\n{text}\n{output:?}");
}

#[test]
fn haproxy_accepts_its_block() {
    let rest = "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
                frontend web\n bind 127.0.0.1:8443\n default_backend corelane\n";
    let text = format!("{rest}{}", the_block("haproxy").text());
    accepted_by("haproxy", &["-c", "-f"], &text);
}

#[test]
fn logrotate_accepts_its_block() {
    let block = the_block("logrotate").text();
    assert!(
        block.contains("kill -s USR1"),
        "nothing reopens the log:\n{block}"
    );
    // -d changes nothing. The rotated directory need not exist.
    accepted_by("logrotate", &["-d"], &block);
}

#[test]
fn blocks_of_yaml_are_valid() {
    let mut checked = 0;
    for block in blocks("yaml") {
        let example = yaml(&block.text()).remove(0);
        let inputs = example.pointer("/0/with").and_then(Value::as_object);
        if let Some(inputs) = inputs {
            let uses = example.pointer("/0/uses").and_then(Value::as_str);
            let (_, action) = uses
                .and_then(|it| it.split_once("/.github/"))
                .expect("ours");
            let file = format!(".github/{}/action.yml", action.trim_end_matches("@main"));
            let action = yaml(&read(&file)).remove(0);
            for input in inputs.keys() {
                assert!(
                    action["inputs"].get(input).is_some(),
                    "{file} has no input {input}"
                );
            }
        } else {
            let target = example.pointer("/scrape_configs/0/static_configs/0/targets/0");
            let target = target.and_then(Value::as_str).expect(&block.place);
            let port = target.strip_prefix("127.0.0.1:").expect("loopback");
            let operations = read("docs/operations.md");
            assert!(
                operations.contains(&format!("`--admin {port}`")),
                "--admin {port}"
            );
        }
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn the_command_accepts_blocks_of_its_configuration() {
    let place = Place::new();
    let ours = |block: &Block| block.text().contains("[[route]]");
    let blocks: Vec<_> = blocks("toml").into_iter().filter(ours).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let output = place.check(&block.text());
        assert!(output.status.success(), "{}: {output:?}", block.place);
    }
}

#[test]
fn blocks_of_dependencies_name_existing_crates_and_features() {
    let mut checked = 0;
    for block in blocks("toml") {
        let place = &block.place;
        let text = block.text();
        let parsed: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        let tables = ["dependencies", "dev-dependencies"]
            .iter()
            .filter_map(|name| parsed.get(*name).and_then(toml::Value::as_table));
        for (name, value) in tables.chain([&parsed]).flatten() {
            let Some(path) = value.get("path").and_then(toml::Value::as_str) else {
                continue;
            };
            let folder = path
                .strip_prefix("../corelane")
                .expect("a checkout beside the program");
            let manifest = read(&format!(".{folder}/Cargo.toml"));
            let manifest: toml::Table = manifest.parse().expect("TOML");
            assert_eq!(
                manifest["package"]["name"].as_str(),
                Some(name.as_str()),
                "{place}"
            );
            let features = value.get("features").and_then(toml::Value::as_array);
            for feature in features.into_iter().flatten() {
                let feature = feature.as_str().expect("a name");
                assert!(
                    manifest["features"].get(feature).is_some(),
                    "{place}: {feature}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked >= 3, "checked {checked} dependencies only");
}

/// cargo compiles the README of the crate.
#[test]
fn the_rust_block_is_the_one_that_is_compiled() {
    let compiled = &blocks("rust,no_run")[0];
    assert_eq!(
        the_block("rust").text(),
        compiled.text(),
        "{}",
        compiled.place
    );
}

#[test]
fn text_blocks_say_what_the_command_does() {
    for block in blocks("text") {
        match &block.lines[0] {
            line if line.contains("unknown key") => assert_printed(&block),
            line if line.contains("current key") => assert_keys_are_accepted(&block),
            _ => assert_paths_exist(&block),
        }
    }
}

/// The messages of a configuration that is wrong in line 3 and in line 7.
fn assert_printed(block: &Block) {
    let place = Place::new();
    place.write(
        "corelane.toml",
        "\n\nidle-timout = 20\n\n\n\ntakeover = \"yes\"\n",
    );
    let output = place.run("corelane --config corelane.toml");
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        block.text(),
        "{}",
        block.place
    );
}

/// With whole keys.
fn assert_keys_are_accepted(block: &Block) {
    let place = Place::new();
    let whole = |line: &String| {
        let (begun, comment) = line.split_once("...").expect("a shortened key");
        format!("{begun}{}{comment}\n", "0".repeat(64 - begun.len()))
    };
    place.write(
        "ticket.keys",
        &block.lines.iter().map(whole).collect::<String>(),
    );
    let output = place.run("chmod 600 ticket.keys; corelane check --ticket-keys ticket.keys");
    assert!(output.status.success(), "{}: {output:?}", block.place);
}

/// Diagrams name files.
fn assert_paths_exist(block: &Block) {
    for word in block.lines.iter().flat_map(|line| line.split_whitespace()) {
        let path = word.trim_matches(['(', ')', ',']);
        if path.starts_with("src/") {
            let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
            assert!(Path::new(&path).exists(), "{}: {path}", block.place);
        }
    }
}
