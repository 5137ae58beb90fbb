//! What the command warns of at its start, and `corelane check` without a start.
#![cfg(target_os = "linux")]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Instant};

use support::{Corelane, DEADLINE};

#[test]
fn connections_above_the_limit_on_open_files_are_warned_of() {
    const WARNING: &str = "the limit on open files is below the connections of all workers";
    let run = |limit: &str, check: &[&str]| {
        let mut command = Command::new("prlimit");
        command.args([limit, env!("CARGO_BIN_EXE_corelane")]);
        command.args(check);
        command.args(["--tls", "none", "--listen", "127.0.0.1:0"]);
        command.args(["--workers", "2", "--max-connections", "100"]);
        command
    };
    for (limit, warns) in [("--nofile=231:231", true), ("--nofile=231:232", false)] {
        let checked = run(limit, &["check"]).output().expect("it runs");
        assert!(checked.status.success(), "{checked:?}");
        let text = String::from_utf8(checked.stderr).expect("text");
        assert_eq!(text.contains(WARNING), warns, "{limit}: {text}");
        assert_eq!(text.contains("RLIMIT_NOFILE"), warns, "{limit}: {text}");

        let log = tempfile::NamedTempFile::new().expect("a file");
        let mut start = run(limit, &[]);
        start.stderr(log.reopen().expect("a file"));
        let mut server = Corelane::start_by(start);
        // At its end the whole log is written.
        server.signal("-TERM");
        assert!(server.wait().success());
        let text = fs::read_to_string(log.path()).expect("text");
        assert_eq!(text.matches(WARNING).count(), usize::from(warns), "{text}");
    }
}

/// Runs the command as a user of its own with this limit on locked memory, if the test may change
/// the user.
fn with_locked_memory(bytes: u32, program: &Path, args: &[&str]) -> Command {
    /// No other process runs as this user, so all of the limit is left.
    const USER: &str = "--reuid=54321";
    let mut command = Command::new("setpriv");
    command.args([USER, "--clear-groups", "prlimit"]);
    command.arg(format!("--memlock={bytes}:{bytes}"));
    command.arg(program).args(args);
    command
}

#[test]
fn too_little_locked_memory_for_some_rings_is_warned_of() {
    /// More than one ring of 112 KiB, less than two.
    const ONE_RING: u32 = 43 * 4096;
    const WARNING: &str = "some workers cannot use io_uring and run epoll";
    // Other users may not see the folder of the build.
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("corelane");
    fs::copy(env!("CARGO_BIN_EXE_corelane"), &program).expect("copied");
    for path in [dir.path(), &program] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("set");
    }
    let server = ["--tls", "none", "--listen", "127.0.0.1:0", "--workers", "2"];
    let check = |bytes, driver| {
        let args = [&["check", "--driver", driver], &server[..]].concat();
        let output = with_locked_memory(bytes, &program, &args).output();
        let output = output.expect("setpriv");
        let text = String::from_utf8(output.stderr).expect("text");
        (output.status.success(), text)
    };
    let (_, text) = check(1, "io-uring");
    if !text.contains("locked memory") {
        println!("NOT TESTED: the user cannot be changed, or rings are not counted here: {text}");
        return;
    }
    let (passes, text) = check(ONE_RING, "io-uring");
    assert!(!passes, "a start would fail: {text}");
    for part in ["(172 KiB)", "112 KiB", "RLIMIT_MEMLOCK"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The kernel may free the rings of the check a little later.
    let begun = Instant::now();
    loop {
        let (passes, text) = check(ONE_RING, "auto");
        assert!(passes, "a start would use epoll: {text}");
        let log = tempfile::NamedTempFile::new().expect("a file");
        let mut start = with_locked_memory(ONE_RING, &program, &server);
        start.stderr(log.reopen().expect("a file"));
        let server = Corelane::start_by(start);
        let started = fs::read_to_string(log.path()).expect("text");
        if text.contains(WARNING) && started.contains(WARNING) {
            let drivers =
                ["0", "1"].map(|index| server.printed(&format!("  {index}: ")).to_owned());
            let on = |driver| {
                drivers
                    .iter()
                    .filter(|line| line.starts_with(driver))
                    .count()
            };
            assert_eq!([on("io_uring"), on("epoll")], [1, 1], "{drivers:?}");
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{text}\n{started}");
        // Each attempt has rings of its own, which the kernel has to free, too.
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}
