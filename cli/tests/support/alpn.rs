//! `corelane alpn`, run to its end.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::command;

/// The exit status and the output of `corelane alpn`.
pub(crate) struct Asked {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

pub(crate) fn alpn(args: &[&str]) -> Asked {
    let begun = Instant::now();
    let mut command = command(&["alpn"]);
    if args
        .iter()
        .any(|arg| ["--cacert", "--insecure"].contains(arg))
    {
        // OpenSSL would read the system's certificates for each offer, though they are not used.
        command.env("SSL_CERT_FILE", "/dev/null");
    }
    let output = command.args(args).output();
    let output = output.expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let asked = Asked {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
        took: begun.elapsed(),
    };
    assert!(!asked.err.contains("panicked"), "{}", asked.err);
    asked
}

impl Asked {
    #[track_caller]
    pub(crate) fn ends_with(self, status: i32) -> Self {
        let Self { out, err, .. } = &self;
        assert_eq!(self.status, Some(status), "out:\n{out}\nerr:\n{err}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.out.contains(text), "{text:?} is not in:\n{}", self.out);
        self
    }

    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in:\n{}", self.err);
        self
    }
}

/// Parses a report in JSON and checks it against its schema.
pub(crate) fn valid(text: &str) -> Value {
    let schema: Value =
        serde_json::from_str(include_str!("../../../probe/schema/alpn-report.json")).expect("JSON");
    jsonschema::meta::validate(&schema).expect("a JSON Schema");
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let report: Value = serde_json::from_str(text).expect("JSON");
    let errors: Vec<_> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    report
}

/// An address on which no server listens. Its port is below those that the kernel gives out, which
/// sockets of other tests get.
pub(crate) fn free_port() -> SocketAddr {
    const FIRST: u16 = 20_000;
    const COUNT: u32 = 12_000;
    static CALLS: AtomicU32 = AtomicU32::new(0);
    loop {
        let call = CALLS.fetch_add(1, Relaxed);
        let index = std::process::id().wrapping_mul(97).wrapping_add(call) % COUNT;
        let port = FIRST + u16::try_from(index).expect("less than COUNT");
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}
