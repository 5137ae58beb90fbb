//! systemd's watchdog, over two processes.

mod support;

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Command, id},
    time::Instant,
};

use http::Request;

use support::{
    Corelane, DEADLINE,
    client::{connect, run},
    program_dir::{ProgramDir, runs, until},
};

/// `WatchdogSec=`, in microseconds.
const LIMIT: &str = "300000";

/// The thread that notifies.
const THREAD: &str = "corelane-dog";

struct Manager(UnixDatagram);

impl Manager {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("set");
        Self(socket)
    }

    /// Reads notifications until one contains `text`. Returns how many were of the watchdog.
    fn receives(&self, text: &str) -> usize {
        let (started, mut works) = (Instant::now(), 0);
        loop {
            assert!(started.elapsed() < DEADLINE, "no {text:?}");
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).expect("a notification");
            let notification = String::from_utf8_lossy(&buffer[..length]);
            works += usize::from(notification.contains("WATCHDOG=1"));
            if notification.contains(text) {
                return works;
            }
        }
    }

    /// Forgets what has arrived.
    fn forget(&self) {
        self.0.set_nonblocking(true).expect("set");
        while self.0.recv(&mut [0; 4096]).is_ok() {}
        self.0.set_nonblocking(false).expect("set");
    }
}

fn has_watchdog(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten();
    let mut names = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.any(|name| name.trim() == THREAD)
}

/// As systemd starts it, which knows the process ID before the process runs.
fn started_by(dir: &ProgramDir, socket: &Path, process: &str) -> Corelane {
    let server = dir.command(&["--tls", "none"]);
    let mut shell = Command::new("sh");
    let start = format!("WATCHDOG_PID={process} exec \"$0\" \"$@\"");
    shell
        .args(["-c", &start])
        .arg(server.get_program())
        .args(server.get_args());
    shell
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", LIMIT);
    Corelane::start_by(shell)
}

#[test]
fn the_main_process_notifies_the_watchdog() {
    let dir = ProgramDir::make("watchdog");
    let path = dir.directory.join("notify");
    let manager = Manager::new(&path);
    let mut old = started_by(&dir, &path, "$$");
    let old_id = dir.pid().expect("a pid file");
    manager.receives("READY=1");
    for _ in 0..3 {
        manager.receives("WATCHDOG=1");
    }
    run(async {
        // A stream in flight keeps the old process.
        let mut requests = connect(old.addr(), "none")
            .await
            .ready()
            .await
            .expect("ready");
        let request = Request::post("http://localhost/echo").body(());
        let sent = requests.send_request(request.expect("a request"), false);
        let (response, mut echo) = sent.expect("sent");
        response.await.expect("answered");
        assert!(dir.upgrade(old_id).status.success());
        let new_id = dir.pid().expect("a pid file");
        manager.receives(&format!("MAINPID={new_id}\n"));
        until("the old process leaves it to the new one", || {
            !has_watchdog(old_id)
        });
        assert!(runs(old_id) && has_watchdog(new_id));
        manager.forget();
        for _ in 0..3 {
            manager.receives("WATCHDOG=1");
        }
        echo.send_data("to the end".into(), true).expect("sent");
    });
    assert!(old.wait().success());
}

#[test]
fn another_process_s_watchdog_is_not_notified() {
    let dir = ProgramDir::make("no-watchdog");
    let path = dir.directory.join("notify");
    let manager = Manager::new(&path);
    let server = started_by(&dir, &path, &id().to_string());
    manager.receives("READY=1");
    assert!(!has_watchdog(dir.pid().expect("a pid file")));
    server.signal("-TERM");
    assert_eq!(manager.receives("STOPPING=1"), 0);
}
