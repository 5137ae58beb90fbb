//! The command on Unix sockets: by its own path, from systemd, through an upgrade.

mod support;

use std::{
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output},
};

use command_fds::{CommandFdExt, FdMapping};
use support::{
    Corelane, command,
    program_dir::{ProgramDir, runs, until},
    refusal,
};

fn curl(path: &Path, args: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--http2-prior-knowledge", "--max-time", "60"]);
    curl.arg("--unix-socket").arg(path).args(args);
    curl.arg("http://localhost/healthz");
    curl.output().expect("curl is installed")
}

fn assert_served(path: &Path) {
    let output = curl(path, &["-w", " %{http_version}"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.ends_with(" 2"),
        "{output:?}"
    );
}

fn listen(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn curl_is_served_on_a_unix_socket_whose_file_is_removed_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    let addr = listen(&path);
    let args = [
        "--tls",
        "none",
        "--listen",
        &addr,
        "--proxy-protocol",
        "unix:",
    ];
    let mut server = Corelane::start(&args);
    server.assert_printed(&format!("listening on {addr}"));
    server.assert_printed(&format!("--unix-socket {}", path.display()));
    let output = curl(&path, &["--haproxy-protocol"]);
    assert!(output.status.success(), "{output:?}");
    let error = refusal(&["--tls", "none", "--listen", &addr]);
    assert!(error.contains("a server listens there"), "{error}");
    server.signal("-TERM");
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn wrong_options_of_unix_sockets_are_errors() {
    let twice = [
        "--tls",
        "none",
        "--listen",
        "unix:/run/a",
        "--listen",
        "unix:/run/a",
    ];
    for (args, expected) in [
        (&twice[..], "are one socket"),
        (&["--listen", "unix:a.sock"], "an absolute path"),
        (&["check", "--unix-mode", "888"], "a mode in octal"),
    ] {
        let error = refusal(args);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_unix_socket_is_served_through_upgrades() {
    let dir = ProgramDir::make("unix");
    let path = dir.directory.join("http.sock");
    let mut command = dir.command(&["--tls", "none", "--listen", &listen(&path)]);
    command.args(["--unix-mode", "600"]);
    let mut server = Corelane::start_by(command);
    for _ in 0..2 {
        let id = dir.pid().expect("a pid file");
        let output = dir.upgrade(id);
        assert!(output.status.success(), "{output:?}");
        assert_served(&path);
        until("the old process has ended", || {
            !runs(id) || id == server.id()
        });
        if id == server.id() {
            assert!(server.wait().success());
        }
        assert_served(&path);
    }
    let id = dir.pid().expect("a pid file");
    support::program_dir::signal(id, "-TERM");
    until("the last process has removed the socket", || !path.exists());
}

#[test]
fn a_unix_socket_of_systemd_is_served_and_its_file_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("http.sock");
    let socket = UnixListener::bind(&path).expect("a socket");
    let addr = listen(&path);
    for named in [&[][..], &["--listen", &addr]] {
        let mut command = command(&[&["--tls", "none"], named].concat());
        let mapping = FdMapping {
            parent_fd: socket.try_clone().expect("a handle").into(),
            child_fd: 3,
        };
        command.fd_mappings(vec![mapping]).expect("one");
        command.env("LISTEN_FDS", "1");
        let mut server = Corelane::start_by(command);
        assert_served(&path);
        server.signal("-TERM");
        assert!(server.wait().success());
        assert!(path.exists(), "the file is systemd's");
    }
}
