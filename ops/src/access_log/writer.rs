//! The queue of records, and the thread that writes them.

use std::{
    fmt, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGHUP, SIGUSR1},
    iterator::Signals,
};

use super::{
    format::AccessLogFormat,
    output::{self, Output},
};
use crate::Error;

/// Requests that may wait to be written: 4,096, what the fastest worker answers in some 10 ms. Each
/// keeps its path, referer and user agent, which the server's limit on header lists bounds.
const QUEUE: usize = 4096;

/// Lines written by one system call.
const BATCH: usize = 256;

/// Least time between two log messages about dropped records.
const DROPPED_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How long a log that cannot be written may delay the end of the process.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// An access log that is open. Its thread writes what the services made by [`layer`](Self::layer)
/// record.
pub struct AccessLog {
    log: Log,
    ended: Receiver<()>,
}

/// The sending side of the queue: cloned for each worker.
#[derive(Clone)]
pub(super) struct Log {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

enum Message {
    Line(Box<dyn Line>),
    /// The thread has to look at `Shared`.
    Wake,
    End,
}

#[derive(Default)]
struct Shared {
    reopen: AtomicBool,
    /// Records dropped since the last log message about them.
    dropped: AtomicU64,
}

/// A record that becomes a line on the writing thread.
pub(super) trait Line: Send {
    fn append(&self, lines: &mut String, format: AccessLogFormat);
}

impl AccessLog {
    /// Opens a file to append to, or standard output if the path is `-`, and starts the thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, or the thread cannot start.
    pub fn open(path: impl AsRef<Path>, format: AccessLogFormat) -> Result<Self, Error> {
        let path = path.as_ref();
        output::open(path)
            .and_then(|output| Self::start(output, format))
            .map_err(|error| cannot_write(path, error))
    }

    /// Checks that [`open`](Self::open) would succeed. Creates no file.
    ///
    /// # Errors
    ///
    /// When the file could not be opened.
    pub fn check(path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        output::check(path).map_err(|error| cannot_write(path, error))
    }

    /// Opens the file again, for instance after it was renamed. Does not wait for it.
    pub fn reopen(&self) {
        self.log.reopen();
    }

    /// Calls [`reopen`](Self::reopen) on SIGUSR1, as nginx does, and on SIGHUP, for as long as the
    /// process lives. Other handlers of these signals run too.
    ///
    /// # Errors
    ///
    /// When the signals cannot be caught, or the thread cannot start.
    pub fn reopen_on_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new([SIGUSR1, SIGHUP])?;
        let log = self.log.clone();
        let thread = thread::Builder::new().name("corelane-reopen".into());
        thread.spawn(move || signals.forever().for_each(|_signal| log.reopen()))?;
        Ok(())
    }

    /// Waits until everything recorded is written, for 5 s at most. Call it when all workers have
    /// ended.
    pub fn finish(self) {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        while let Err(TrySendError::Full(_)) = self.log.queue.try_send(Message::End) {
            if Instant::now() > deadline {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if self.ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("could not write the last lines of the access log in time");
        }
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    fn start(output: Box<dyn Output>, format: AccessLogFormat) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            output,
            format,
            shared: Arc::clone(&shared),
            failing: false,
            logged: None,
        };
        let thread = thread::Builder::new().name("corelane-log".into());
        thread.spawn(move || {
            writer.run(&messages);
            drop(end);
        })?;
        let log = Log { queue, shared };
        Ok(Self { log, ended })
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
    fn reopen(&self) {
        self.shared.reopen.store(true, Relaxed);
        // A full queue wakes the thread as well.
        let _ = self.queue.try_send(Message::Wake);
    }

    /// Never waits.
    pub(super) fn write(&self, line: impl Line + 'static) {
        if self.queue.try_send(Message::Line(Box::new(line))).is_err()
            && self.shared.dropped.fetch_add(1, Relaxed) == 0
        {
            tracing::warn!("the access log falls behind: dropping records");
        }
    }
}

struct Writer {
    output: Box<dyn Output>,
    format: AccessLogFormat,
    shared: Arc<Shared>,
    /// Whether the last write failed, which was logged.
    failing: bool,
    /// When dropped records were last logged.
    logged: Option<Instant>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut lines = String::new();
        while let Ok(first) = messages.recv() {
            let (mut count, mut last) = (0, false);
            for message in [first].into_iter().chain(messages.try_iter()).take(BATCH) {
                match message {
                    Message::Line(line) => {
                        line.append(&mut lines, self.format);
                        count += 1;
                    }
                    Message::Wake => {}
                    Message::End => last = true,
                }
            }
            if self.shared.reopen.swap(false, Relaxed) {
                self.reopen();
            }
            if count > 0 {
                self.write(&mut lines, count);
                lines.clear();
            }
            self.log_dropped(last);
            if last {
                return;
            }
        }
    }

    /// Limited in rate: clients must not be able to fill the other log instead.
    fn log_dropped(&mut self, last: bool) {
        let recent = self
            .logged
            .is_some_and(|logged| logged.elapsed() < DROPPED_LOG_INTERVAL);
        if recent && !last {
            return;
        }
        let dropped = self.shared.dropped.swap(0, Relaxed);
        if dropped > 0 {
            self.logged = Some(Instant::now());
            tracing::warn!(dropped, "records are missing in the access log");
        }
    }

    fn reopen(&mut self) {
        match self.output.reopen() {
            Ok(()) => tracing::info!("reopened the access log"),
            Err(error) => {
                tracing::warn!(%error, "cannot reopen the access log: the old file stays in use");
            }
        }
    }

    fn write(&mut self, lines: &mut String, count: u64) {
        if self.failing {
            // The failed write may have left half a line.
            lines.insert(0, '\n');
        }
        match self.output.write(lines) {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::warn!("the access log can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.shared.dropped.fetch_add(count, Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "cannot write the access log");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
