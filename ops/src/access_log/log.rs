//! An access log that is open.

use std::{fmt, io, path::Path, thread, time::Duration};

use signal_hook::{
    consts::{SIGHUP, SIGUSR1},
    iterator::Signals,
};

use super::format::AccessLogFormat;
use crate::{
    Error,
    log_writer::{self, ACCESS_LOG, Line, LogQueue, LogWriter},
};

/// How long a log that cannot be written may delay the end of the process: 500 ms, far more than a
/// disk takes for a full queue. It counts towards the second that the process may take after the
/// shutdown deadline.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);

/// An access log that is open. Its thread writes what the services made by [`layer`](Self::layer)
/// record.
pub struct AccessLog {
    log: Log,
    writer: LogWriter,
}

/// Takes the records of one worker.
#[derive(Clone)]
pub(super) struct Log {
    queue: LogQueue,
    pub(super) format: AccessLogFormat,
}

impl AccessLog {
    /// Opens a file to append to, or standard output if the path is `-`, and starts the thread.
    ///
    /// A FIFO needs a process that reads it.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, or the thread cannot start.
    pub fn open(path: impl AsRef<Path>, format: AccessLogFormat) -> Result<Self, Error> {
        let path = path.as_ref();
        let writer = log_writer::open(path)
            .and_then(|output| LogWriter::start(output, &ACCESS_LOG))
            .map_err(|error| cannot_write(path, error))?;
        let queue = writer.queue().clone();
        Ok(Self {
            log: Log { queue, format },
            writer,
        })
    }

    /// Checks that [`open`](Self::open) would succeed. Creates no file.
    ///
    /// # Errors
    ///
    /// When the file could not be opened.
    pub fn check(path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        log_writer::check(path).map_err(|error| cannot_write(path, error))
    }

    /// Opens the file again, for instance after it was renamed. Does not wait for it.
    pub fn reopen(&self) {
        self.log.queue.reopen();
    }

    /// Calls [`reopen`](Self::reopen) on SIGUSR1, as nginx does, and on SIGHUP, for as long as the
    /// process lives. Other handlers of these signals run too.
    ///
    /// # Errors
    ///
    /// When the signals cannot be caught, or the thread cannot start.
    pub fn reopen_on_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new([SIGUSR1, SIGHUP])?;
        let queue = self.log.queue.clone();
        let thread = thread::Builder::new().name("corelane-reopen".into());
        thread.spawn(move || signals.forever().for_each(|_signal| queue.reopen()))?;
        Ok(())
    }

    /// Waits until everything recorded is written, or the output has blocked for 500 ms. Call it when
    /// all workers have ended.
    pub fn finish(self) {
        if !self.writer.finish(FINISH_TIMEOUT) {
            tracing::warn!("could not write the last lines of the access log in time");
        }
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot write the access log {}", path.display());
    Error::with_source(message, error)
}

impl Log {
    /// Never waits.
    pub(super) fn write(&self, line: Box<dyn Line>) {
        if let Err(dropped) = self.queue.write(line)
            && dropped.first
        {
            tracing::warn!("the access log falls behind: dropping records");
        }
    }
}
