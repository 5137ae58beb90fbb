//! Starts the command and talks to it.

#![allow(dead_code, reason = "each test target uses a part of it")]

pub(crate) mod access_log;
pub(crate) mod admin;
pub(crate) mod alpn;
pub(crate) mod authority;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod http2;
#[path = "../../../tests/support/src/ocsp.rs"]
pub(crate) mod ocsp;
pub(crate) mod place;
pub(crate) mod program_dir;
pub(crate) mod trusting;
pub(crate) mod upstream;
pub(crate) mod yaml;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The values of `--tls` that are compiled in.
pub(crate) const BACKENDS: &[&str] = &[
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    "rustls",
    #[cfg(feature = "openssl")]
    "openssl",
    #[cfg(feature = "native-tls")]
    "native-tls",
    "none",
];

/// The values of `--driver`.
pub(crate) const DRIVERS: &[&str] = &["io-uring", "epoll"];

pub(crate) struct Corelane {
    child: Child,
    /// The output up to the line that begins with `try: `.
    introduction: Vec<String>,
}

impl Corelane {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_by(command(args))
    }

    pub(crate) fn start_by(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut introduction = Vec::new();
        let out = child.stdout.take().expect("piped");
        for line in BufReader::new(out).lines() {
            introduction.push(line.expect("text"));
            if introduction
                .last()
                .is_some_and(|line| line.starts_with("try: "))
            {
                break;
            }
        }
        Self {
            child,
            introduction,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listens_on()[0]
    }

    pub(crate) fn listens_on(&self) -> Vec<SocketAddr> {
        let lines = self.introduction.iter();
        let lines = lines.filter(|line| line.starts_with("listening on "));
        let addrs = lines.filter_map(|line| line.split_once("://"));
        addrs
            .map(|(_, addr)| addr.parse().expect("an address"))
            .collect()
    }

    /// The rest of the line that begins with `beginning`.
    pub(crate) fn printed(&self, beginning: &str) -> &str {
        let mut lines = self.introduction.iter();
        let line = lines.find_map(|line| line.strip_prefix(beginning));
        line.unwrap_or_else(|| panic!("{beginning:?} is not in {:?}", self.introduction))
    }

    pub(crate) fn assert_printed(&self, text: &str) {
        let message = self.introduction.join("\n");
        assert!(message.contains(text), "{text:?} is not in:\n{message}");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill").success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the command does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Corelane {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    command.args(args);
    command
}

/// The error message of a command that must not start.
pub(crate) fn refusal(args: &[&str]) -> String {
    let output = command(args).output().expect("the command runs");
    assert!(!output.status.success(), "{args:?} is accepted");
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(!message.contains("panicked"), "{message}");
    message
}
