//! The thread that writes.

use std::{
    io::{self, ErrorKind},
    mem,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Message, Output, QUEUE, Shared};

/// Lines written by one system call.
const BATCH: usize = 256;

/// How long the thread sleeps after a write that took all lines: 1 ms. Under load, lines gather in the queue meanwhile:
/// none of them wakes the thread, and one system call writes all of them, or a batch.
const GATHER: Duration = Duration::from_millis(1);

/// Time between two log messages about lost lines. Clients can cause them and must not fill the
/// log.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait for an output that another process has made non-blocking.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) struct Writer {
    output: Box<dyn Output>,
    shared: Arc<Shared>,
    /// Lines that are not among `bytes` yet.
    lines: String,
    /// Lines to write. Between two batches: the rest of a line that the output took in part. It is
    /// completed first, so that the log has no half line and no empty line.
    bytes: Vec<u8>,
    /// Whether `bytes` begins within a line.
    torn: bool,
    /// Whether the last write failed, which was logged.
    failing: bool,
    /// When lost lines were last reported.
    reported: Option<Instant>,
}

impl Writer {
    pub(super) fn new(output: Box<dyn Output>, shared: Arc<Shared>) -> Self {
        Self {
            output,
            shared,
            lines: String::new(),
            bytes: Vec::new(),
            torn: false,
            failing: false,
            reported: None,
        }
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Some(first) = self.receive(messages) {
            let mut last = false;
            let mut taken = 0;
            if self.shared.reopen.swap(false, Relaxed) {
                self.reopen();
            }
            for message in [first].into_iter().chain(messages.try_iter()).take(BATCH) {
                taken += 1;
                last |= matches!(message, Message::End);
                self.append(message);
            }
            self.write();
            if last || self.report_in() == Some(Duration::ZERO) {
                self.report();
            }
            if last {
                // Of the event log, the report is in its own queue.
                for message in messages.try_iter().take(QUEUE) {
                    self.append(message);
                }
                return self.write();
            }
            if taken < BATCH {
                thread::sleep(GATHER);
            }
        }
    }

    fn append(&mut self, message: Message) {
        if let Message::Line(line) = message {
            line.append(&mut self.lines);
        }
    }

    /// The next message, or `Wake` when lost lines are to be reported. `None` if there will be none.
    fn receive(&self, messages: &Receiver<Message>) -> Option<Message> {
        match self.report_in() {
            None => messages.recv().ok(),
            Some(wait) => match messages.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => Some(Message::Wake),
                Err(RecvTimeoutError::Disconnected) => None,
            },
        }
    }

    /// The time until lost lines are to be reported. `None` if there are none.
    fn report_in(&self) -> Option<Duration> {
        if self.shared.unreported.load(Relaxed) == 0 {
            return None;
        }
        let since = self.reported.map(|reported| reported.elapsed());
        Some(since.map_or(Duration::ZERO, |since| {
            REPORT_INTERVAL.saturating_sub(since)
        }))
    }

    fn report(&mut self) {
        let lines = self.shared.unreported.swap(0, Relaxed);
        if lines > 0 {
            self.reported = Some(Instant::now());
            tracing::warn!(lines, log = self.shared.lost.log, "log lines were lost");
        }
    }

    fn reopen(&mut self) {
        match self.blocking(|output| output.reopen()) {
            Ok(()) => {
                if mem::take(&mut self.torn) {
                    self.bytes.clear();
                    self.shared.lose(1);
                }
                tracing::info!(log = self.shared.lost.log, "reopened the log");
            }
            Err(error) => tracing::warn!(
                %error, log = self.shared.lost.log,
                "cannot reopen the log: the old file stays in use"
            ),
        }
    }

    fn write(&mut self) {
        self.bytes.extend_from_slice(self.lines.as_bytes());
        self.lines.clear();
        if self.bytes.is_empty() {
            return;
        }
        let bytes = mem::take(&mut self.bytes);
        let (written, result) = self.blocking(|output| write_all(output, &bytes));
        self.bytes = bytes;
        match result {
            Ok(()) => {
                self.bytes.clear();
                self.torn = false;
                if mem::take(&mut self.failing) {
                    tracing::warn!(log = self.shared.lost.log, "the log can be written again");
                }
            }
            Err(error) => {
                self.lose_all_but_the_torn_line(written);
                if !mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, log = self.shared.lost.log, "cannot write the log");
                }
            }
        }
    }

    /// Does something that may block. While it does, the end of the log does not wait for long.
    fn blocking<T>(&mut self, call: impl FnOnce(&mut dyn Output) -> T) -> T {
        self.shared.writing.store(true, Relaxed);
        let result = call(&mut *self.output);
        self.shared.writing.store(false, Relaxed);
        result
    }

    fn lose_all_but_the_torn_line(&mut self, written: usize) {
        if written > 0 {
            self.torn = self.bytes[written - 1] != b'\n';
        }
        self.bytes.drain(..written);
        let end = |byte: &u8| *byte == b'\n';
        let kept = match self.torn {
            true => self.bytes.iter().position(end).map_or(0, |at| at + 1),
            false => 0,
        };
        let lost = self.bytes.drain(kept..).filter(end).count();
        self.shared.lose(lost as u64);
    }
}

/// Returns how many bytes were written.
fn write_all(output: &mut dyn Output, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(RETRY_INTERVAL);
            }
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
