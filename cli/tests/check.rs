//! `corelane check`, and the errors of a configuration as a user sees them.

mod support;

use std::io::Write;

use support::{command, refusal};

#[test]
fn check_validates_a_configuration_without_a_server() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/corelane.toml");
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let occupied = occupied.local_addr().expect("bound").to_string();
    let port = ["--tls", "none", "--listen", &occupied];
    let checked = command(&[&["check", "--config", example], &port[..]].concat())
        .env("CORELANE_IDLE_TIMEOUT", "20")
        .output()
        .expect("the command runs");
    assert!(checked.status.success(), "{checked:?}");
    let text = String::from_utf8(checked.stdout).expect("text");
    let line = "idle-timeout = 20  # environment variable CORELANE_IDLE_TIMEOUT";
    assert!(text.contains(line), "{text}");
    assert_eq!(text.matches("# Limits").count(), 1, "{text}");

    for (args, advice) in [
        (&["--max-frame", "1"][..], "--max-frame is 1"),
        (&["--cpus", "9999"], "CPU 9999"),
        (
            &["--config", "/nonexistent.toml"],
            "cannot read the configuration file",
        ),
        (&["--tls", "wolfssl"], "compiled in"),
        (&["--pid-file", "/proc/pid"], "the pid file /proc/pid"),
        (&["--access-log", "/proc/log"], "the access log /proc/log"),
        (
            &["--tls", "none", "--write-cert", "cert.pem"],
            "--tls none has no certificate",
        ),
        (
            &["--listen", "127.0.0.1:9", "--listen", "0.0.0.0:9"],
            "are one port",
        ),
    ] {
        let message = refusal(&[&["check"], args].concat());
        assert!(message.contains(advice), "{args:?}: {message}");
    }
}

#[test]
fn quiet_check_prints_nothing_but_errors() {
    for flag in ["-q", "--quiet"] {
        let good = ["check", flag, "--tls", "none", "--max-connections", "1"];
        let checked = command(&good).output().expect("it runs");
        assert!(checked.status.success(), "{checked:?}");
        assert!(checked.stdout.is_empty(), "{checked:?}");
        assert!(checked.stderr.is_empty(), "{checked:?}");

        let wrong = ["check", flag, "--tls", "none", "--max-frame", "1"];
        let checked = command(&wrong).output().expect("it runs");
        assert_eq!(checked.status.code(), Some(1), "{checked:?}");
        let message = String::from_utf8(checked.stderr).expect("text");
        assert!(message.contains("--max-frame is 1"), "{message}");
    }
}

/// Errors that are found after the options have been read, by the server or by its check.
#[test]
fn errors_name_the_file_and_line_or_the_variable_of_an_option() {
    for (key, value, what) in [
        ("max-frame", "1", "--max-frame is 1, it must be from "),
        ("connection-window", "1000", "--connection-window is 1000"),
        (
            "max-header-list",
            "1",
            "--max-header-list is 1, it must be ",
        ),
        ("cpus", "9999", "--cpus: CPU 9999 is not available"),
    ] {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "tls = \"none\"\n\n{key} = {value}").expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let variable = format!("CORELANE_{}", key.replace('-', "_").to_uppercase());
        for check in [&["check"][..], &[]] {
            let run = |args: &[&str], variable: Option<&str>| {
                let mut command = command(&[check, args].concat());
                if let Some(variable) = variable {
                    command.env(variable, value);
                }
                let output = command.output().expect("it runs");
                assert_eq!(output.status.code(), Some(1), "{output:?}");
                String::from_utf8(output.stderr).expect("text")
            };
            let message = run(&["--config", path], None);
            let expected = format!("corelane: {path}:3: {what}");
            assert!(message.starts_with(&expected), "{expected}: {message}");

            let message = run(&["--tls", "none"], Some(&variable));
            let expected = format!("corelane: environment variable {variable}: {what}");
            assert!(message.starts_with(&expected), "{expected}: {message}");

            let flag = format!("--{key}={value}");
            let message = run(&["--config", path, &flag], Some(&variable));
            let expected = format!("corelane: {what}");
            assert!(message.starts_with(&expected), "{expected}: {message}");
        }
    }
}

#[test]
fn errors_about_several_options_name_the_source_of_each() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "listen = [\"127.0.0.1:9\"]").expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let mut check = command(&["check", "--config", path]);
    let output = check.env("CORELANE_ADMIN", "9").output().expect("it runs");
    let message = String::from_utf8(output.stderr).expect("text");
    let expected = format!(
        "corelane: {path}:1: --listen 127.0.0.1:9 and --admin 127.0.0.1:9 are one port: change or \
         remove one of them\nenvironment variable CORELANE_ADMIN: --admin is set here\n"
    );
    assert_eq!(message, expected);
}
