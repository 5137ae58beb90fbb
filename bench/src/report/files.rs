//! Where results are written: reports to `bench/results`, which is committed, and every single figure
//! as JSON to `target/bench`, which is not.

use std::{fs, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::install;

pub fn write_report(name: &str, text: &str) -> anyhow::Result<()> {
    write(&install::root().join("bench/results"), name, text)
}

pub fn write_json(name: &str, run: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(run)? + "\n";
    write(&install::root().join("target/bench"), name, &text)
}

fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let file = directory.join(name);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_creates_the_directory_and_replaces_the_file() {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let directory = scratch.path().join("a/b");
        for text in ["first", "2"] {
            write(&directory, "name", text).expect("writable");
            let read = fs::read_to_string(directory.join("name"));
            assert_eq!(read.expect("readable"), text);
        }
        let error = write(&directory.join("name"), "below", "").expect_err("a file");
        assert!(error.to_string().contains("a/b/name/below"), "{error}");
    }
}
