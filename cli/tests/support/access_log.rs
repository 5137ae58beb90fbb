//! A server with an access log in its own directory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Corelane, DEADLINE};

/// Removed when it is dropped.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("corelane-log-{}-{test}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    pub(crate) fn start(&self, more: &[&str]) -> (Corelane, PathBuf) {
        let log = self.0.join("access.log");
        let path = log.to_str().expect("UTF-8");
        let own = [
            "--tls",
            "none",
            "--listen",
            "127.0.0.1:0",
            "--access-log",
            path,
        ];
        (Corelane::start(&[&own, more].concat()), log)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The lines of a log, once there are `count`.
pub(crate) fn lines(log: &Path, count: usize) -> Vec<String> {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(
            started.elapsed() < DEADLINE,
            "{count} lines are not in\n{text}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
