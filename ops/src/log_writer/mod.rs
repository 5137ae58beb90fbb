//! Writes the lines of a log on a thread of its own.
//!
//! Nothing that logs waits: lines go into a queue. When the thread falls behind, because the disk is
//! slow or nothing reads the pipe, lines are dropped and counted.

mod lost_lines;
mod output;
mod thread;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

pub(crate) use self::lost_lines::EVENT_LOG;
#[cfg(feature = "admin")]
pub(crate) use self::lost_lines::record;
#[cfg(feature = "access-log")]
pub(crate) use self::{
    lost_lines::ACCESS_LOG,
    output::{check, open},
};
pub(crate) use self::{
    lost_lines::LostLines,
    output::{Output, standard_error},
    thread::Writer,
};

/// Lines that may wait to be written: 4,096, what the fastest worker answers in some 10 ms. Each
/// keeps what a client has sent, its path for example, which the server's limit on header lists
/// bounds.
const QUEUE: usize = 4096;

/// How long the end of a log may take on a machine without a free CPU.
const STARVED: Duration = Duration::from_secs(5);

/// How often to look whether the output blocks.
const LOOK: Duration = Duration::from_millis(10);

/// Something that becomes a line on the writing thread.
pub(crate) trait Line: Send {
    /// Appends the line, with its end.
    fn append(&self, lines: &mut String);
}

enum Message {
    Line(Box<dyn Line>),
    /// The thread has to look at `Shared`.
    Wake,
    End,
}

struct Shared {
    reopen: AtomicBool,
    /// The thread is in a call that may block.
    writing: AtomicBool,
    /// Lines lost since the last log message about them.
    unreported: AtomicU64,
    /// All lines lost.
    lost: &'static LostLines,
}

impl Shared {
    /// Returns how many lost lines were not reported before.
    fn lose(&self, lines: u64) -> u64 {
        self.lost.add(lines);
        self.unreported.fetch_add(lines, Relaxed)
    }
}

/// A log whose thread runs.
pub(crate) struct LogWriter {
    queue: LogQueue,
    ended: Receiver<()>,
}

/// The sending side of the queue.
#[derive(Clone)]
pub(crate) struct LogQueue {
    messages: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// The queue was full, so the line is lost.
#[cfg_attr(
    not(feature = "access-log"),
    expect(dead_code, reason = "only the access log reports it elsewhere")
)]
pub(crate) struct Dropped {
    /// Whether it is the first since the last log message about lost lines.
    pub(crate) first: bool,
}

impl LogWriter {
    /// Starts the thread.
    pub(crate) fn start(output: Box<dyn Output>, lost: &'static LostLines) -> io::Result<Self> {
        let (messages, received) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let shared = Arc::new(Shared {
            reopen: AtomicBool::default(),
            writing: AtomicBool::default(),
            unreported: AtomicU64::default(),
            lost,
        });
        let writer = Writer::new(output, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("corelane-log".into());
        thread.spawn(move || {
            writer.run(&received);
            drop(end);
        })?;
        let queue = LogQueue { messages, shared };
        Ok(Self { queue, ended })
    }

    pub(crate) fn queue(&self) -> &LogQueue {
        &self.queue
    }

    /// Waits until everything in the queue is written, while the output takes it: when it has blocked
    /// the thread for this time, the rest is lost. Returns whether everything is written.
    pub(crate) fn finish(self, timeout: Duration) -> bool {
        let started = Instant::now();
        let mut blocked = Duration::ZERO;
        let mut is_told = false;
        // Time in which the thread does not get a CPU is no sign of a blocked output.
        while blocked < timeout && started.elapsed() < STARVED {
            if !is_told {
                let sent = self.queue.messages.try_send(Message::End);
                is_told = !matches!(sent, Err(TrySendError::Full(_)));
            }
            if self.ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return true;
            }
            if self.queue.shared.writing.load(Relaxed) {
                blocked += LOOK;
            }
        }
        false
    }
}

impl LogQueue {
    /// Opens the output again. Does not wait for it.
    #[cfg(feature = "access-log")]
    pub(crate) fn reopen(&self) {
        self.shared.reopen.store(true, Relaxed);
        // A full queue wakes the thread as well.
        let _ = self.messages.try_send(Message::Wake);
    }

    /// Never waits.
    pub(crate) fn write(&self, line: Box<dyn Line>) -> Result<(), Dropped> {
        self.messages
            .try_send(Message::Line(line))
            .map_err(|_full| Dropped {
                first: self.shared.lose(1) == 0,
            })
    }
}

#[cfg(all(test, feature = "access-log"))]
mod tests;
