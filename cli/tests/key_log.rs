//! `--key-log`, the file of `SSLKEYLOGFILE` and what the command warns of.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use support::{
    Corelane,
    certificates::{BACKENDS, Files, Running, ask, certificate, in_runtime, open, wait_for},
    command,
};

const VARIABLE: &str = "SSLKEYLOGFILE";
const WARNING: &str = "all traffic can be decrypted with the secrets in this file";

fn start(dir: &Path, mut command: Command) -> Running {
    let log = dir.join("log");
    command.stderr(File::create(&log).expect("a file"));
    Running {
        corelane: Corelane::start_by(command),
        log,
    }
}

/// One connection with one request.
fn visit(server: &Running) {
    in_runtime(async {
        let requests = open(server.addr()).await.expect("connects");
        ask(&requests).await.expect("answered");
    });
}

/// The backends that have a key log.
fn backends() -> impl Iterator<Item = &'static str> {
    BACKENDS.iter().copied().filter(|it| *it != "native-tls")
}

#[test]
fn the_file_is_written_and_warned_of_once() {
    for backend in backends() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("keys");
        let files =
            ["a.test", "b.test"].map(|name| Files::of(&dir.path().join(name), &certificate(name)));
        let mut server = command(&[
            "-v",
            "--listen",
            "127.0.0.1:0",
            "--tls",
            backend,
            "--key-log",
        ]);
        server.args(files.iter().flat_map(Files::args));
        server.env(VARIABLE, &file);
        let server = start(dir.path(), server);
        let keys = || fs::read_to_string(&file).expect("text");
        assert_eq!(keys(), "");
        visit(&server);
        wait_for(|| keys().lines().count() == 5, keys);
        // As it is rotated.
        fs::rename(&file, dir.path().join("older")).expect("renamed");
        server.corelane.signal("-HUP");
        server.wait_for_log("certificates reloaded");
        visit(&server);
        wait_for(|| keys().lines().count() == 5, keys);
        let log = server.log();
        // Once for each file, however many certificates there are.
        assert_eq!(log.matches(WARNING).count(), 2, "{log}");
        let named = format!("file={}", file.display());
        assert_eq!(log.matches(&named).count(), 2, "{log}");
        for line in keys().lines() {
            let secret = line.rsplit(' ').next().expect("one");
            assert!(secret.len() >= 64 && !log.contains(secret), "{log}");
        }
    }
}

#[test]
fn check_warns_and_creates_no_file() {
    for backend in backends() {
        let dir = tempfile::tempdir().expect("a directory");
        let check = |file: &Path| {
            let mut check = command(&["check", "--quiet", "--tls", backend, "--key-log"]);
            let output = check.env(VARIABLE, file).output().expect("runs");
            let text = String::from_utf8(output.stderr).expect("text");
            (output.status.success(), text)
        };
        let file = dir.path().join("keys");
        let (passes, text) = check(&file);
        assert!(passes && text.contains(WARNING), "{text}");
        assert!(!file.exists());
        let (passes, text) = check(Path::new(""));
        let nothing = "SSLKEYLOGFILE names no file: nothing is written";
        assert!(passes && text.contains(nothing), "{text}");
        for wrong in [dir.path(), &dir.path().join("none/keys")] {
            let (passes, text) = check(wrong);
            let named = format!("cannot open the key log {}", wrong.display());
            assert!(!passes && text.contains(&named), "{text}");
        }
    }
    #[cfg(feature = "native-tls")]
    {
        let text = support::refusal(&["check", "--tls", "native-tls", "--key-log"]);
        assert!(text.contains("does not support --key-log"), "{text}");
    }
}

/// The limit on the size of files is a disk that becomes full.
#[test]
fn a_file_that_takes_no_more_is_reported_once_and_fails_no_connection() {
    const LIMIT: usize = 64 << 10;
    for backend in backends() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("keys");
        // A part of the first line fits.
        let begun = "# begun\n".repeat(LIMIT / 8 - 1) + "#\n";
        fs::write(&file, &begun).expect("written");
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", LIMIT >> 10);
        let mut server = Command::new("bash");
        server
            .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_corelane")])
            .args(["--listen", "127.0.0.1:0", "--tls", backend, "--key-log"])
            .env(VARIABLE, &file);
        let server = start(dir.path(), server);
        visit(&server);
        visit(&server);
        server.wait_for_log("cannot write the key log");
        visit(&server);
        let log = server.log();
        assert_eq!(log.matches("cannot write the key log").count(), 1, "{log}");
        assert!(log.contains("not reported again"), "{log}");
        assert_eq!(fs::read(&file).expect("kept").len(), LIMIT);
    }
}
