//! bench/results/latest.json, .md and .svg.

mod markdown;
mod svg;

use std::fs;

use crate::{install, results::Run};

pub use markdown::{markdown, write_machine};

pub fn write(run: &Run) -> anyhow::Result<()> {
    let directory = install::root().join("bench/results");
    fs::create_dir_all(&directory)?;
    let json = serde_json::to_string_pretty(run)? + "\n";
    for (name, text) in [
        ("latest.json", json),
        ("latest.md", markdown(run)),
        ("latest.svg", svg::picture(run)),
    ] {
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// Three figures that count.
pub fn short(number: f64) -> String {
    match number {
        it if it >= 100.0 => format!("{it:.0}"),
        it if it >= 10.0 => format!("{it:.1}"),
        it => format!("{it:.2}"),
    }
}
