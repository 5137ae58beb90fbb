//! Names of files that stand for something else: a FIFO, a directory, a socket, a device. Nothing hangs.

mod support;

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, pipe},
    os::unix::{fs::OpenOptionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use support::{
    Corelane, DEADLINE,
    admin::{admin, metrics, sum},
    certificates::{BACKENDS, Files, Running, certificate},
    command,
    http2::{ask, with_client},
};

/// `O_NONBLOCK` of Linux on all architectures that corelane runs on.
const O_NONBLOCK: i32 = 0o4000;

fn fifo(dir: &Path) -> PathBuf {
    let fifo = dir.join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo").success());
    fifo
}

/// Runs the command, which is killed if it hangs.
fn run(args: &[&str]) -> Output {
    let seconds = DEADLINE.as_secs().to_string();
    Command::new("timeout")
        .args(["--signal=KILL", &seconds, env!("CARGO_BIN_EXE_corelane")])
        .args(args)
        .output()
        .expect("the command runs")
}

fn refusal(args: &[&str]) -> String {
    let output = run(&[args, &["--listen", "127.0.0.1:0"]].concat());
    // 1 or, for options, 2. Not killed.
    let code = output.status.code();
    assert!([Some(1), Some(2)].contains(&code), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// Checks and starts the command with options that name special files by `FILE`.
fn assert_special_files_are_refused(options: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("socket");
    let _socket = UnixListener::bind(&socket).expect("a socket");
    for (path, kind) in [
        (fifo(dir.path()), "FIFO"),
        (dir.path().to_owned(), "directory"),
        (socket, "socket"),
    ] {
        let path = path.to_str().expect("UTF-8");
        let options = options.iter().map(|option| match *option {
            "FILE" => path,
            option => option,
        });
        let options: Vec<_> = options.collect();
        let is_command = options[0] == "alpn";
        let message = match is_command {
            true => String::from_utf8(run(&options).stderr).expect("text"),
            false => refusal(&options),
        };
        assert_refused(&message, path, kind);
        if !is_command {
            let message = refusal(&[&["check"], &options[..]].concat());
            assert_refused(&message, path, kind);
        }
    }
}

#[test]
fn fifos_directories_and_sockets_are_refused_in_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::of(dir.path(), &certificate("localhost"));
    let [_, cert, _, key] = files.args();
    let mut commands = vec![
        vec!["alpn", "127.0.0.1:1", "--cacert", "FILE"],
        vec!["--tls", "none", "--access-log", "FILE"],
        vec!["--tls", "none", "--pid-file", "FILE"],
        vec!["--tls", "none", "--config", "FILE"],
    ];
    for backend in BACKENDS {
        // native-tls has neither client certificates nor ticket keys, and says so after it has read
        // the files.
        for options in [
            &["--cert", "FILE", "--key", key][..],
            &["--cert", cert, "--key", "FILE"],
            &["--client-ca", "FILE", "--cert", cert, "--key", key],
            &["--ticket-keys", "FILE", "--cert", cert, "--key", key],
            &["--write-cert", "FILE"],
        ] {
            commands.push([&["--tls", backend], options].concat());
        }
        // native-tls refuses the option before it reads the file.
        if *backend != "native-tls" {
            let options = ["--ocsp", "FILE", "--cert", cert, "--key", key];
            commands.push([&["--tls", backend], &options[..]].concat());
        }
    }
    // At the same time: a FIFO is given a second.
    thread::scope(|scope| {
        for options in &commands {
            scope.spawn(|| assert_special_files_are_refused(options));
        }
    });
}

fn assert_refused(message: &str, path: &str, kind: &str) {
    assert!(message.contains(path), "{path}: {message}");
    let lower = message.to_lowercase();
    assert!(lower.contains(&kind.to_lowercase()), "{kind}: {message}");
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn the_output_of_a_command_can_be_passed_as_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::of(dir.path(), &certificate("localhost"));
    let [_, cert, _, key] = files.args();
    let config = dir.path().join("config.toml");
    fs::write(&config, "workers = 1\n").expect("written");
    for backend in BACKENDS {
        let script = "exec \"$0\" check --tls \"$1\" --cert <(cat \"$2\") --key <(sleep 0.1; cat \"$3\") \
                      --config <(cat \"$4\")";
        let output = Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_corelane")])
            .args([backend, cert, key, config.to_str().expect("UTF-8")])
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains("workers = 1"), "{text}");
    }
}

#[test]
fn a_reload_of_a_fifo_fails_and_does_not_delay_the_shutdown() {
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let made = certificate("localhost");
        let files = Files::of(&dir.path().join("files"), &made);
        let args = [&["--tls", backend][..], &files.args()].concat();
        let mut server = Running::start(dir.path(), &args);
        fs::remove_file(&files.cert).expect("removed");
        fs::rename(fifo(dir.path()), &files.cert).expect("renamed");
        server.corelane.signal("-HUP");
        server.wait_for_log("is a FIFO that nothing writes to");
        server.assert_serves("localhost", &made);
        // Its writer neither writes nor closes it.
        let _writer = OpenOptions::new().read(true).write(true).open(&files.cert);
        server.corelane.signal("-HUP");
        server.corelane.signal("-TERM");
        assert!(server.corelane.wait().success(), "{}", server.log());
        assert!(!server.log().contains("does not close it"), "it has waited");
    }
}

#[test]
fn an_access_log_on_a_fifo_whose_reader_stops_delays_nothing() {
    const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
    for driver in ["epoll", "auto"] {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = fifo(dir.path());
        let mut options = OpenOptions::new();
        let reader = options.read(true).custom_flags(O_NONBLOCK).open(&fifo);
        let _reader = reader.expect("a FIFO");
        let timeout = SHUTDOWN_TIMEOUT.as_secs().to_string();
        let args = [
            "--tls",
            "none",
            "--driver",
            driver,
            "--listen",
            "127.0.0.1:0",
        ];
        let mut command = command(&args);
        command
            .args(["--admin", "0", "--shutdown-timeout", &timeout])
            .arg("--access-log")
            .arg(&fifo)
            .stderr(Stdio::null());
        let mut server = Corelane::start_by(command);
        let lost = || {
            let metrics = metrics(admin(&server));
            sum(&metrics, "corelane_log_lines_dropped_total", "access")
        };
        let started = Instant::now();
        with_client(server.addr(), |requests| async move {
            while lost() == 0.0 {
                assert!(started.elapsed() < DEADLINE, "the FIFO is never full");
                for _ in 0..500 {
                    ask(&requests, "/", Bytes::new(), None).await;
                }
            }
        });
        let signalled = Instant::now();
        server.signal("-TERM");
        assert!(server.wait().success());
        let took = signalled.elapsed();
        assert!(took < SHUTDOWN_TIMEOUT + Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn an_access_log_can_be_a_device() {
    for device in ["/dev/stderr", "/dev/null"] {
        let (output, stderr) = pipe().expect("a pipe");
        let mut command = command(&["--tls", "none", "--listen", "127.0.0.1:0"]);
        command.args(["--access-log", device]).stderr(stderr);
        let mut server = Corelane::start_by(command);
        with_client(server.addr(), |requests| async move {
            ask(&requests, "/", Bytes::new(), None).await;
        });
        server.signal("-TERM");
        assert!(server.wait().success());
        // The event log is there too.
        let lines = BufReader::new(output).lines();
        let mut lines = lines.map(|line| line.expect("text"));
        let is_logged = lines.any(|line| line.contains("\"POST / HTTP/2.0\" 200 "));
        assert_eq!(is_logged, device == "/dev/stderr");
    }
}
