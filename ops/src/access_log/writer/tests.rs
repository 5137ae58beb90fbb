//! A log that cannot be written slows no request.

use std::sync::{Mutex, mpsc};

use super::*;

/// Writes only when the test allows it.
struct Slow {
    allowed: mpsc::Receiver<()>,
    started: mpsc::Sender<()>,
    written: Arc<Mutex<String>>,
    failures: usize,
}

impl Output for Slow {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        let _ = self.started.send(());
        let _ = self.allowed.recv();
        if self.failures > 0 {
            self.failures -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.lock().expect("no panic").push_str(lines);
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.written
            .lock()
            .expect("no panic")
            .push_str("reopened\n");
        Ok(())
    }
}

struct Request;

impl Line for Request {
    fn append(&self, lines: &mut String, _format: AccessLogFormat) {
        lines.push_str("GET / \n");
    }
}

struct Test {
    log: AccessLog,
    allow: mpsc::Sender<()>,
    started: mpsc::Receiver<()>,
    written: Arc<Mutex<String>>,
}

fn start(failures: usize) -> Test {
    let (allow, allowed) = mpsc::channel();
    let (start, started) = mpsc::channel();
    let written = Arc::<Mutex<String>>::default();
    let output = Slow {
        allowed,
        started: start,
        written: Arc::clone(&written),
        failures,
    };
    let log = AccessLog::start(Box::new(output), AccessLogFormat::Combined).expect("a thread");
    Test {
        log,
        allow,
        started,
        written,
    }
}

const WAIT: Duration = Duration::from_secs(60);

#[test]
fn records_beyond_the_queue_are_dropped_and_counted() {
    let test = start(0);
    let log = test.log.log();
    log.write(Request);
    // From here on the thread is busy with the first one.
    test.started.recv_timeout(WAIT).expect("a write");
    for _ in 0..QUEUE + 10 {
        log.write(Request);
    }
    assert_eq!(log.shared.dropped.load(Relaxed), 10);
    log.reopen();
    drop(test.allow);
    test.log.finish();
    let written = test.written.lock().expect("no panic");
    assert_eq!(written.matches("GET / ").count(), 1 + QUEUE);
    assert_eq!(written.matches("reopened").count(), 1);
}

#[test]
fn a_full_disk_costs_lines_but_no_requests() {
    let test = start(1);
    let log = test.log.log();
    log.write(Request);
    test.started.recv_timeout(WAIT).expect("a write");
    test.allow.send(()).expect("the writer waits");
    log.write(Request);
    test.started.recv_timeout(WAIT).expect("another write");
    drop(test.allow);
    test.log.finish();
    let written = test.written.lock().expect("no panic");
    // The failed write may have left half a line: the next one starts a new line.
    assert_eq!(*written, "\nGET / \n");
}
