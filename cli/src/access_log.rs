//! The access log: a line for each request that was answered, or was to be.
//!
//! The workers hand over what happened and go on; a thread of its own makes lines of it and writes
//! them. Where it does not keep up, lines are left out.

mod line;
mod record;
mod writer;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(crate) use self::{
    record::Record,
    writer::{AccessLog, Log},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Access log")]
pub(crate) struct AccessLogArgs {
    /// Write a line for each request to this file, or to standard output (-). SIGUSR1 and SIGHUP
    /// open the file anew.
    #[arg(long, value_name = "FILE|-")]
    access_log: Option<PathBuf>,

    /// How lines are written: as nginx' combined, or as an object of JSON each.
    #[arg(long, value_enum, default_value = "combined")]
    access_log_format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Combined,
    Json,
}

impl AccessLogArgs {
    /// Opens the log, if there is to be one, and starts its thread.
    pub(crate) fn start(&self) -> Result<Option<AccessLog>, corelane::Error> {
        let Some(path) = &self.access_log else {
            return Ok(None);
        };
        let log = writer::open(path).and_then(|out| {
            let log = AccessLog::start(out, self.access_log_format)?;
            log.reopen_on_signals()?;
            Ok(log)
        });
        log.map(Some).map_err(|error| cannot(path, &error))
    }

    /// Whether the log has standard output to itself.
    pub(crate) fn is_standard_output(&self) -> bool {
        self.access_log.as_deref() == Some(writer::STANDARD_OUTPUT.as_ref())
    }

    /// Whether it could be opened; makes no file.
    pub(crate) fn check(&self) -> Result<(), corelane::Error> {
        self.access_log.as_ref().map_or(Ok(()), |path| {
            writer::check(path).map_err(|error| cannot(path, &error))
        })
    }
}

fn cannot(path: &std::path::Path, error: &std::io::Error) -> corelane::Error {
    corelane::Error::config(format!(
        "the access log {} cannot be written: {error}",
        path.display()
    ))
}
