//! Options of the access log.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use corelane_ops::{AccessLog, AccessLogFormat, Error};

#[derive(Debug, Args)]
#[command(next_help_heading = "Access log")]
pub(crate) struct AccessLogArgs {
    /// Write a line for each request to this file, or to standard output (-). SIGUSR1 and SIGHUP
    /// reopen the file.
    #[arg(long, value_name = "FILE|-")]
    access_log: Option<PathBuf>,

    /// Format of the access log: nginx's combined format, or one JSON object per line.
    #[arg(long, value_enum, default_value = "combined")]
    access_log_format: FormatArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Combined,
    Json,
}

impl AccessLogArgs {
    /// Opens the log, if one is configured, and starts its thread.
    pub(crate) fn open(&self) -> Result<Option<AccessLog>, Error> {
        let format = match self.access_log_format {
            FormatArg::Combined => AccessLogFormat::Combined,
            FormatArg::Json => AccessLogFormat::Json,
        };
        let path = self.access_log.as_ref();
        path.map(|path| AccessLog::open(path, format)).transpose()
    }

    /// Checks that the log can be opened. Creates no file.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.access_log.as_ref().map_or(Ok(()), AccessLog::check)
    }

    /// Whether the log is written to standard output, which must then contain nothing else.
    pub(crate) fn is_standard_output(&self) -> bool {
        self.access_log.as_deref() == Some(Path::new("-"))
    }
}
