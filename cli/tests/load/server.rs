//! The server in its own process: its usage, its log and its counters.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

/// Parts of the known reasons why handshakes fail and connections end: the clients of this test cause
/// each of them.
const KNOWN: &[&str] = &[
    "ByPeer",
    // Killed or reset, at any moment.
    "Broken pipe",
    "Connection reset by peer",
    "broken pipe",
    "connection reset",
    "the TLS handshake failed: unexpected end of file",
    "the client closed before its first message was complete",
    "the client closed before it sent anything",
    "the peer ended the connection without close_notify",
    "the client closed the connection inside a frame of HTTP/2",
    // Stalled.
    "the HTTP/2 preface took longer than 10s",
    "the TLS handshake took longer than 10s",
    "the peer took too long",
    // No TLS, or another protocol.
    "expected a ClientHello, got ",
    "the ClientHello has ",
    "the handshake record has ",
    "the handshake record is empty",
    "the client does not speak TLS",
    // Random bytes with a letter and a space.
    "the client speaks HTTP/1.x",
    "the client speaks HTTP without TLS",
    "the client offered [",
    GARBAGE[0],
    GARBAGE[1],
    NONSENSE[0],
    NONSENSE[1],
    NONSENSE[2],
];

/// Reasons that only garbage instead of TLS causes, by rustls and by OpenSSL.
pub(crate) const GARBAGE: [&str; 2] = [
    "cannot decrypt peer's message",
    "decryption failed or bad record mac",
];

/// Reasons that garbage instead of HTTP/2 causes, by crate h2 and by corelane-http2.
pub(crate) const NONSENSE: [&str; 3] = [
    "HTTP/2 error: connection error detected: ",
    "HTTP/2 error: PROTOCOL_ERROR: the preface of HTTP/2 is missing",
    "HTTP/2 error: FRAME_SIZE_ERROR: a frame above SETTINGS_MAX_FRAME_SIZE",
];

/// The path of an upstream that upgrades each request.
pub(crate) const UPGRADES: &str = "/upgrades";

/// Sends back what it gets after the upgrade.
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            // An error is that of a client that has gone.
            thread::spawn(move || drop(upgrade(&stream)));
        }
    });
    format!("http://{addr}")
}

fn upgrade(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
    )?;
    io::copy(&mut reader, &mut stream).map(drop)
}

pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) backend: &'static str,
    log: Arc<Mutex<Log>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub(crate) struct Log {
    /// Why connections ended, and how often.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Lines without a known reason.
    pub(crate) unexplained: Vec<String>,
    /// Sums over all workers.
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Log {
    fn line(&mut self, line: &str) {
        let level = line.split_whitespace().nth(1).unwrap_or_default();
        if !matches!(level, "INFO" | "DEBUG") {
            self.unexplained.push(line.to_owned());
        }
        if let Some((_, counters)) = line.split_once("WorkerCounters { ") {
            for counter in counters.trim_end_matches(" }").split(", ") {
                // A histogram has other values, too.
                if let Some((name, count)) = counter.split_once(": ")
                    && let Ok(count) = count.parse::<u64>()
                {
                    *self.counters.entry(name.to_owned()).or_default() += count;
                }
            }
        }
        if let Some((_, reason)) = line.split_once(" why=") {
            let reason = reason.split(" time=").next().unwrap_or_default();
            let known = KNOWN.iter().any(|known| reason.contains(known));
            if !known && self.unexplained.len() < 100 {
                self.unexplained.push(line.to_owned());
            }
            *self.reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
}

/// The usage of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
}

impl Server {
    pub(crate) fn start(backend: &'static str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_corelane"))
            .args(["--tls", backend, "--listen", "127.0.0.1:0", "-vv"])
            .args([
                "--workers",
                "2",
                "--no-affinity",
                "--http1",
                "off",
                "--demo",
            ])
            .args(["--route", &format!("{UPGRADES}={}", upstream())])
            // So few that no limit on open files is warned of.
            .args(["--max-connections", "1000"])
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut introduction = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        introduction.read_line(&mut line).expect("text");
        let (_, addr) = line.trim().split_once("://").expect("an address");
        let addr = addr.parse().expect("an address");
        let log = Arc::<Mutex<Log>>::default();
        let message = BufReader::new(child.stderr.take().expect("piped"));
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                // Reads to the end: otherwise the server blocks on its own log.
                for line in message.lines() {
                    log.lock().expect("no panic").line(&line.expect("text"));
                }
            }
        });
        Self {
            child,
            addr,
            backend,
            log,
            reader: Some(reader),
        }
    }

    pub(crate) fn tls(&self) -> bool {
        self.backend != "none"
    }

    pub(crate) fn usage(&self) -> Usage {
        let proc = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{proc}/status")).expect("it runs");
        let resident = status.lines().find(|line| line.starts_with("VmRSS:"));
        let resident = resident.and_then(|line| line.split_whitespace().nth(1));
        let descriptors = std::fs::read_dir(format!("{proc}/fd")).expect("it runs");
        Usage {
            resident_kib: resident.expect("a size").parse().expect("a number"),
            descriptors: descriptors.count(),
        }
    }

    /// Shuts the server down and returns its log.
    pub(crate) fn stop(mut self) -> Log {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill").success());
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{}: {status}", self.backend);
        self.reader.take().map(JoinHandle::join);
        std::mem::take(&mut *self.log.lock().expect("no panic"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
