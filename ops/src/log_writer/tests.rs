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
