//! Standard error as the output of tracing's events.

use std::{fmt, io, time::Duration};

use crate::{
    Error,
    log_writer::{EVENT_LOG, Line, LogQueue, LogWriter, standard_error},
};

/// How long a log that cannot be written may delay the end of the process: 250 ms. It counts towards
/// the second that the process may take after the shutdown deadline.
const FINISH_TIMEOUT: Duration = Duration::from_millis(250);

/// Writes events to standard error on a thread of its own, so that a pipe that nothing reads stops no
/// worker. When the thread falls behind, lines are dropped; the number of them is logged as soon as
/// standard error takes lines again.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use corelane_ops::EventLog;
///
/// # fn main() -> Result<(), corelane_ops::Error> {
/// let log = EventLog::to_standard_error()?;
/// tracing_subscriber::fmt().with_writer(Arc::new(log.writer())).init();
/// // Serve, then:
/// log.finish();
/// # Ok(())
/// # }
/// ```
pub struct EventLog(LogWriter);

impl EventLog {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the thread cannot start.
    pub fn to_standard_error() -> Result<Self, Error> {
        standard_error()
            .and_then(|output| LogWriter::start(output, &EVENT_LOG))
            .map(Self)
            .map_err(|error| Error::with_source("cannot start the thread of the log", error))
    }

    /// The writer for a subscriber.
    pub fn writer(&self) -> EventWriter {
        EventWriter(self.0.queue().clone())
    }

    /// Waits until all lines are written, or standard error has blocked for 250 ms.
    pub fn finish(self) {
        // What is lost could only be told to the log that takes nothing.
        let _ = self.0.finish(FINISH_TIMEOUT);
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").finish_non_exhaustive()
    }
}

/// Takes events, each as one call of [`io::Write::write`] with whole lines. It never waits and never
/// fails.
#[derive(Clone)]
pub struct EventWriter(LogQueue);

impl io::Write for &EventWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let lines = Event(String::from_utf8_lossy(event).into_owned());
        // The queue counts what it drops.
        let _ = self.0.write(Box::new(lines));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for EventWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWriter").finish_non_exhaustive()
    }
}

struct Event(String);

impl Line for Event {
    fn append(&self, lines: &mut String) {
        lines.push_str(&self.0);
    }
}
