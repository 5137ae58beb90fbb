//! A directory with the program and its pid file, for upgrades.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Instant,
};

use super::{DEADLINE, command};

/// A directory with a link to the program, which a test can replace, and with the pid file. Dropping
/// it kills the process that the pid file names.
pub(crate) struct ProgramDir {
    pub(crate) directory: PathBuf,
}

impl ProgramDir {
    pub(crate) fn make(name: &str) -> Self {
        let id = std::process::id();
        let directory = std::env::temp_dir().join(format!("corelane-restart-{id}-{name}"));
        fs::create_dir_all(directory.join("run")).expect("a directory");
        symlink(env!("CARGO_BIN_EXE_corelane"), directory.join("corelane")).expect("a link");
        Self { directory }
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.directory.join("corelane")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.join("run/pid")
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.pid_file())
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(["--listen", "127.0.0.1:0", "--workers", "2"]);
        command.arg("--pid-file").arg(self.pid_file()).args(args);
        command
    }

    /// Runs `corelane upgrade` by the real program.
    pub(crate) fn upgrade(&self, server: u32) -> Output {
        let args = ["upgrade", "--pid", &server.to_string()];
        command(&args).output().expect("the command runs")
    }

    pub(crate) fn replace_program(&self, script: Option<&str>) {
        use std::os::unix::fs::PermissionsExt;
        fs::remove_file(self.program()).expect("it was there");
        if let Some(script) = script {
            fs::write(self.program(), format!("#!/bin/sh\n{script}\n")).expect("written");
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.program(), executable).expect("executable");
        }
    }
}

impl Drop for ProgramDir {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            signal(pid, "-KILL");
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn signal(pid: u32, signal: &str) {
    let _ = Command::new("kill")
        .args([signal, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Whether the process runs.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until `so` returns true.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < DEADLINE, "never: {what}");
        std::thread::yield_now();
    }
}
