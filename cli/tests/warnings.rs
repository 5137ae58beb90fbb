//! What the command warns of at its start, and `corelane check` without a start.
#![cfg(target_os = "linux")]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use support::Corelane;

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

/// Runs the command with this limit on locked memory, if the test may change the user: as a user
/// that no other process has, also not one that has ended. The kernel counts by user, and frees
/// rings after the end of their process.
fn with_locked_memory(bytes: u32, program: &Path, args: &[&str]) -> Command {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Relaxed);
    let user = 1_000_000 + std::process::id() * 10 + started;
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), "--clear-groups", "prlimit"]);
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
    let (passes, text) = check(ONE_RING, "auto");
    assert!(passes, "a start would use epoll: {text}");
    assert!(text.contains(WARNING), "{text}");
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut start = with_locked_memory(ONE_RING, &program, &server);
    start.stderr(log.reopen().expect("a file"));
    let mut server = Corelane::start_by(start);
    let mut drivers = ["0", "1"].map(|index| {
        let line = server.printed(&format!("  {index}: "));
        line.split([' ', ',']).next().map(str::to_owned)
    });
    drivers.sort();
    let expected = ["epoll", "io_uring"].map(|driver| Some(driver.to_owned()));
    assert_eq!(drivers, expected);
    // At its end the whole log is written.
    server.signal("-TERM");
    assert!(server.wait().success());
    let text = fs::read_to_string(log.path()).expect("text");
    assert!(text.contains(WARNING), "{text}");
}
