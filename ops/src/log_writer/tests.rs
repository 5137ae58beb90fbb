//! A log that cannot be written delays nothing, loses whole lines only, and reports them.

use std::sync::{Mutex, mpsc};

use super::*;

/// Writes only when the test allows it, and only as much: an error stands for a full disk.
struct Slow {
    allowed: mpsc::Receiver<usize>,
    started: mpsc::Sender<()>,
    written: Arc<Mutex<String>>,
}

impl Output for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.started.send(());
        let room = self.allowed.recv().unwrap_or(usize::MAX).min(bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let text = std::str::from_utf8(&bytes[..room]).expect("text");
        self.written.lock().expect("no panic").push_str(text);
        Ok(room)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.written
            .lock()
            .expect("no panic")
            .push_str("reopened\n");
        Ok(())
    }
}

struct Request(usize);

impl Line for Request {
    fn append(&self, lines: &mut String) {
        lines.push_str(&format!("GET /{}\n", self.0));
    }
}

struct Test {
    log: LogWriter,
    lost: &'static LostLines,
    /// Allows a write of some bytes; 0 fails it.
    allow: mpsc::Sender<usize>,
    started: mpsc::Receiver<()>,
    written: Arc<Mutex<String>>,
}

impl Test {
    fn start() -> Self {
        let (allow, allowed) = mpsc::channel();
        let (start, started) = mpsc::channel();
        let written = Arc::<Mutex<String>>::default();
        let output = Slow {
            allowed,
            started: start,
            written: Arc::clone(&written),
        };
        let lost = Box::leak(Box::new(LostLines::of("test")));
        let log = LogWriter::start(Box::new(output), lost).expect("a thread");
        Self {
            log,
            lost,
            allow,
            started,
            written,
        }
    }

    fn write(&self, number: usize) -> bool {
        self.log.queue().write(Box::new(Request(number))).is_ok()
    }

    fn wait_for_a_write(&self) {
        self.started.recv_timeout(WAIT).expect("a write");
    }

    fn allow(&self, bytes: usize) {
        self.allow.send(bytes).expect("the writer waits");
    }

    /// What was written in the end, when everything is allowed.
    fn written(self) -> String {
        drop(self.allow);
        assert!(self.log.finish(WAIT), "the thread has not ended");
        let written = self.written.lock().expect("no panic");
        written.clone()
    }
}

const WAIT: Duration = Duration::from_secs(60);

#[test]
fn lines_beyond_the_queue_are_dropped_and_counted() {
    let test = Test::start();
    assert!(test.write(0));
    // From here on the thread is busy with the first one.
    test.wait_for_a_write();
    let taken = (0..QUEUE + 10).filter(|number| test.write(*number)).count();
    assert_eq!((taken, test.lost.count()), (QUEUE, 10));
    test.log.queue().reopen();
    let written = test.written();
    assert_eq!(written.matches("GET /").count(), 1 + QUEUE);
    assert_eq!(written.matches("reopened").count(), 1);
}

#[test]
fn an_output_that_takes_nothing_does_not_delay_the_end() {
    let test = Test::start();
    test.write(0);
    test.wait_for_a_write();
    while test.write(0) {}
    assert!(!test.log.finish(Duration::from_millis(1)));
}

#[test]
fn a_full_disk_leaves_neither_half_lines_nor_empty_ones() {
    let test = Test::start();
    test.write(0);
    test.wait_for_a_write();
    for number in 1..4 {
        test.write(number);
    }
    test.allow(100);
    // The thread writes the other lines together: one and a half fit.
    test.wait_for_a_write();
    test.allow("GET /1\nGET".len());
    test.wait_for_a_write();
    test.allow(0);
    test.write(4);
    test.wait_for_a_write();
    // Not even the rest of the half line fits.
    assert_eq!(test.lost.count(), 1, "only GET /3 had not begun");
    test.allow(0);
    test.write(5);
    test.wait_for_a_write();
    assert_eq!(test.lost.count(), 2, "GET /4 had not begun");
    let lost = test.lost;
    assert_eq!(test.written(), "GET /0\nGET /1\nGET /2\nGET /5\n");
    assert_eq!(lost.count(), 2);
}

#[test]
fn half_a_line_is_not_completed_in_another_file() {
    let test = Test::start();
    test.write(0);
    test.wait_for_a_write();
    test.allow("GET".len());
    test.wait_for_a_write();
    test.allow(0);
    test.log.queue().reopen();
    test.write(1);
    let lost = test.lost;
    assert_eq!(test.written(), "GETreopened\nGET /1\n");
    assert_eq!(lost.count(), 1);
}

/// Writes into memory.
struct Memory(Arc<Mutex<String>>);

impl Output for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).expect("text");
        self.0.lock().expect("no panic").push_str(text);
        Ok(bytes.len())
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event of tracing that goes into the queue of the log under test.
struct Event(String);

impl Line for Event {
    fn append(&self, lines: &mut String) {
        lines.push_str(&self.0);
    }
}

struct Events(LogQueue);

impl io::Write for &Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event).into_owned();
        let _ = self.0.write(Box::new(Event(text)));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_last_report_of_lost_lines_is_written_to_the_log_that_it_is_about() {
    let (messages, received) = sync_channel(QUEUE);
    let lost = Box::leak(Box::new(LostLines::of("test")));
    let shared = Arc::new(Shared {
        reopen: AtomicBool::default(),
        writing: AtomicBool::default(),
        unreported: AtomicU64::default(),
        lost,
    });
    shared.lose(3);
    let written = Arc::<Mutex<String>>::default();
    let writer = Writer::new(Box::new(Memory(Arc::clone(&written))), Arc::clone(&shared));
    messages.send(Message::End).expect("room");
    let events = Events(LogQueue { messages, shared });
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Arc::new(events));
    tracing::subscriber::with_default(subscriber.finish(), || writer.run(&received));
    let written = written.lock().expect("no panic");
    assert!(written.contains("log lines were lost"), "{written}");
    assert!(written.contains("lines=3"), "{written}");
}

/// Its file is on a file system that hangs.
struct Hung {
    started: mpsc::Sender<()>,
    released: mpsc::Receiver<()>,
}

impl Output for Hung {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn reopen(&mut self) -> io::Result<()> {
        let _ = self.started.send(());
        let _ = self.released.recv();
        Ok(())
    }
}

#[test]
fn a_file_whose_opening_hangs_does_not_delay_the_end() {
    let (start, started) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let output = Hung {
        started: start,
        released,
    };
    let lost = Box::leak(Box::new(LostLines::of("test")));
    let log = LogWriter::start(Box::new(output), lost).expect("a thread");
    log.queue().reopen();
    started.recv_timeout(WAIT).expect("the file is opened");
    let begun = Instant::now();
    assert!(!log.finish(Duration::from_millis(1)));
    assert!(begun.elapsed() < STARVED, "it counts as blocked");
    drop(release);
}
