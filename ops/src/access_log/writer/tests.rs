//! A log that cannot be written holds nobody up.

use std::sync::{Mutex, mpsc};

use super::*;

/// Writes when it is let to.
struct Slow {
    allowed: mpsc::Receiver<()>,
    begun: mpsc::Sender<()>,
    written: Arc<Mutex<String>>,
    failures: usize,
}

impl Out for Slow {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        let _ = self.begun.send(());
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

struct Got;

impl Line for Got {
    fn append(&self, lines: &mut String, _format: Format) {
        lines.push_str("GET / \n");
    }
}

struct Test {
    log: AccessLog,
    allow: mpsc::Sender<()>,
    begun: mpsc::Receiver<()>,
    written: Arc<Mutex<String>>,
}

fn start(failures: usize) -> Test {
    let (allow, allowed) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let written = Arc::<Mutex<String>>::default();
    let out = Slow {
        allowed,
        begun: begin,
        written: Arc::clone(&written),
        failures,
    };
    let log = AccessLog::start(Box::new(out), Format::Combined).expect("a thread");
    Test {
        log,
        allow,
        begun,
        written,
    }
}

const WAIT: Duration = Duration::from_secs(60);

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let test = start(0);
    let log = test.log.log();
    log.write(Got);
    // The thread is busy with the first from here on.
    test.begun.recv_timeout(WAIT).expect("it writes");
    for _ in 0..QUEUE + 10 {
        log.write(Got);
    }
    assert_eq!(log.shared.lost.load(Relaxed), 10);
    log.reopen();
    drop(test.allow);
    test.log.finish();
    let written = test.written.lock().expect("no panic");
    assert_eq!(written.matches("GET / ").count(), 1 + QUEUE);
    assert_eq!(written.matches("reopened").count(), 1);
}

#[test]
fn a_full_disk_costs_lines_only() {
    let test = start(1);
    let log = test.log.log();
    log.write(Got);
    test.begun.recv_timeout(WAIT).expect("it writes");
    test.allow.send(()).expect("it waits");
    log.write(Got);
    test.begun.recv_timeout(WAIT).expect("it goes on");
    drop(test.allow);
    test.log.finish();
    let written = test.written.lock().expect("no panic");
    // What failed may be there by half: the next begins a line of its own.
    assert_eq!(*written, "\nGET / \n");
}
