//! The report of a run: `bench/results/latest.md` and its picture, and the raw figures.

mod files;
mod markdown;
mod number;
mod svg;

pub use self::{
    files::{write_json, write_report},
    markdown::{markdown, write_machine},
    number::short,
};
use crate::run::Run;

pub fn write(run: &Run) -> anyhow::Result<()> {
    write_json("latest.json", run)?;
    write_report("latest.md", &markdown(run))?;
    write_report("latest.svg", &svg::picture(run))
}
