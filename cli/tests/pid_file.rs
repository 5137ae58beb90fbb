//! Pid files that a server left behind.

mod support;

use std::{fs, path::Path};

use http::StatusCode;

use support::{
    Corelane,
    client::asked,
    command,
    program_dir::{ProgramDir, runs, until},
};

/// The message of a command that fails and names this pid file.
fn refused_by_pid_file(dir: &ProgramDir, command_name: &str) -> String {
    let mut command = command(&[command_name, "--pid-file"]);
    let output = command.arg(dir.pid_file()).output();
    let output = output.expect("the command runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_stale_pid_file_signals_no_stranger() {
    let dir = ProgramDir::make("stale");
    let mut server = Corelane::start_by(dir.command(&["--tls", "none"]));
    server.signal("-KILL");
    server.wait();
    assert_eq!(dir.pid(), Some(server.id()), "the file stays");
    // As if its process id had been given to another server.
    let other = ProgramDir::make("stranger");
    let mut stranger = Corelane::start_by(other.command(&["--tls", "none"]));
    fs::write(dir.pid_file(), format!("{}\n", stranger.id())).expect("written");
    for command in ["upgrade", "reload"] {
        let message = refused_by_pid_file(&dir, command);
        assert!(
            message.contains("no server holds the pid file"),
            "{message}"
        );
    }
    assert_eq!(other.pid(), Some(stranger.id()), "it was not upgraded");
    // A new server may use the file.
    let new = Corelane::start_by(dir.command(&["--tls", "none"]));
    assert_eq!(dir.pid(), Some(new.id()));
    assert_eq!(asked(stranger.addr(), "/"), StatusCode::OK);
    stranger.signal("-TERM");
    assert!(stranger.wait().success());
    assert_eq!(other.pid(), None);
}

#[test]
fn a_zombie_is_not_a_running_server() {
    let dir = ProgramDir::make("zombie");
    let mut server = Corelane::start_by(dir.command(&["--tls", "none"]));
    let id = server.id();
    server.signal("-KILL");
    until("it has ended", || !runs(id));
    assert!(Path::new("/proc").join(id.to_string()).exists(), "a zombie");
    let message = refused_by_pid_file(&dir, "upgrade");
    assert!(
        message.contains("no server holds the pid file"),
        "{message}"
    );
    for command_name in ["upgrade", "reload"] {
        let output = command(&[command_name, "--pid", &id.to_string()]).output();
        let message = String::from_utf8(output.expect("the command runs").stderr).expect("text");
        assert!(
            message.contains(&format!("there is no process {id}")),
            "{message}"
        );
    }
    let new = Corelane::start_by(dir.command(&["--tls", "none"]));
    assert_eq!(dir.pid(), Some(new.id()));
    server.wait();
}
