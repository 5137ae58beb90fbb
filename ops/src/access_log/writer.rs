//! The thread that writes, and the queue before it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGHUP, SIGUSR1},
    iterator::Signals,
};

use super::Format;
use crate::writable;

/// What stands for it in place of a path.
pub(super) const STANDARD_OUTPUT: &str = "-";

/// Requests that may wait to be written: 4,096, what a worker answers in some 10 ms at its fastest.
/// Each keeps its path, referer and user agent, which `--max-header-list` bounds.
const QUEUE: usize = 4096;

/// Lines that are written by one call.
const BATCH: usize = 256;

/// How long nothing more is said of lines that were left out.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a log that cannot be written may hold up the end of the process.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The log as the command has it.
pub(crate) struct AccessLog {
    log: Log,
    ended: Receiver<()>,
}

/// The log as the workers have it.
#[derive(Clone)]
pub(crate) struct Log {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

enum Message {
    Line(Box<dyn Line>),
    /// Something of `Shared` is to be looked at.
    Look,
    End,
}

#[derive(Default)]
struct Shared {
    reopen: AtomicBool,
    /// Lines left out since it was last said.
    lost: AtomicU64,
}

/// What becomes a line, on the thread that writes.
pub(super) trait Line: Send {
    fn append(&self, lines: &mut String, format: Format);
}

/// Where lines go.
pub(super) trait Out: Send {
    fn write(&mut self, lines: &str) -> io::Result<()>;
    fn reopen(&mut self) -> io::Result<()>;
}

impl AccessLog {
    pub(super) fn start(out: Box<dyn Out>, format: Format) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            out,
            format,
            shared: Arc::clone(&shared),
            failing: false,
            told: None,
        };
        let thread = thread::Builder::new().name("corelane-log".into());
        thread.spawn(move || {
            writer.run(&messages);
            drop(end);
        })?;
        let log = Log { queue, shared };
        Ok(Self { log, ended })
    }

    /// Has SIGUSR1, as with nginx, and SIGHUP open the file anew. Whatever else listens to them is
    /// told as well.
    pub(super) fn reopen_on_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new([SIGUSR1, SIGHUP])?;
        let log = self.log.clone();
        let thread = thread::Builder::new().name("corelane-reopen".into());
        thread.spawn(move || signals.forever().for_each(|_signal| log.reopen()))?;
        Ok(())
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until all that was logged is written, for a while. To be called when no worker is left.
    pub(crate) fn finish(self) {
        let until = Instant::now() + LAST_WORDS;
        while let Err(TrySendError::Full(_)) = self.log.queue.try_send(Message::End) {
            if Instant::now() > until {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let left = until.saturating_duration_since(Instant::now());
        if self.ended.recv_timeout(left) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the last lines of the access log could not be written in time");
        }
    }
}

impl Log {
    /// Has the file opened anew, which somebody has moved away. Never waits.
    pub(crate) fn reopen(&self) {
        self.shared.reopen.store(true, Relaxed);
        // A queue that is full wakes the thread as well.
        let _ = self.queue.try_send(Message::Look);
    }

    /// Never waits.
    pub(super) fn write(&self, line: impl Line + 'static) {
        if self.queue.try_send(Message::Line(Box::new(line))).is_err()
            && self.shared.lost.fetch_add(1, Relaxed) == 0
        {
            tracing::warn!("the access log does not keep up: lines are left out");
        }
    }
}

struct Writer {
    out: Box<dyn Out>,
    format: Format,
    shared: Arc<Shared>,
    /// Said already.
    failing: bool,
    /// When it was said how many requests were left out.
    told: Option<Instant>,
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
                    Message::Look => {}
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
            self.tell_lost(last);
            if last {
                return;
            }
        }
    }

    /// Once per burst: clients must not be able to fill the other log instead.
    fn tell_lost(&mut self, last: bool) {
        let silent = self.told.is_some_and(|told| told.elapsed() < SILENCE);
        if silent && !last {
            return;
        }
        let lost = self.shared.lost.swap(0, Relaxed);
        if lost > 0 {
            self.told = Some(Instant::now());
            tracing::warn!(lost, "requests were left out of the access log");
        }
    }

    fn reopen(&mut self) {
        match self.out.reopen() {
            Ok(()) => tracing::info!("the access log was opened anew"),
            Err(error) => {
                tracing::warn!(%error, "the access log cannot be opened anew, the old file is kept");
            }
        }
    }

    fn write(&mut self, lines: &mut String, count: u64) {
        if self.failing {
            // The last line may be there by half.
            lines.insert(0, '\n');
        }
        match self.out.write(lines) {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::warn!("the access log can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.shared.lost.fetch_add(count, Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the access log cannot be written");
                }
            }
        }
    }
}

/// Opens what `path` names: a file to append to, or `-`.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Out>> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Box::new(Stdout));
    }
    Ok(Box::new(ToFile {
        file: append_to(path)?,
        path: path.to_owned(),
    }))
}

/// Whether it could be opened.
pub(super) fn check(path: &Path) -> io::Result<()> {
    match path.to_str() {
        Some(STANDARD_OUTPUT) => Ok(()),
        _ => writable::check(path),
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

struct Stdout;

impl Out for Stdout {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(lines.as_bytes())?;
        out.flush()
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct ToFile {
    file: File,
    path: PathBuf,
}

impl Out for ToFile {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
