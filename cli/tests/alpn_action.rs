//! The GitHub action's script, with a command that prints hostile text from a server.

#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

struct Action {
    dir: PathBuf,
}

impl Action {
    /// A stand-in for the command: prints its arguments, then hostile text on both streams, and exits
    /// with 1.
    fn new(name: &str) -> Self {
        let own = format!("corelane-action-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(own);
        fs::create_dir_all(&dir).expect("a directory");
        let command = dir.join("corelane");
        let script = "#!/bin/sh\nprintf '<%s>' \"$@\"\necho\necho '::error::owned'\n\
                      echo '##[add-mask]e' >&2\nprintf '::set-output name=a::b'\nexit 1\n";
        fs::write(&command, script).expect("written");
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).expect("executable");
        Self { dir }
    }

    fn run(&self, inputs: &[(&str, &str)]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/actions/alpn/run");
        let mut command = Command::new(script);
        command
            .current_dir(&self.dir)
            .env("CORELANE", self.dir.join("corelane"));
        for input in [
            "EXPECT",
            "CONNECT",
            "SERVERNAME",
            "CACERT",
            "INSECURE",
            "TIMEOUT",
            "WAIT",
            "OUTPUT",
        ] {
            command.env(input, "");
        }
        command.env("TARGET", "localhost:1").env("FORMAT", "table");
        command.envs(inputs.iter().copied());
        command.output().expect("bash")
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn text_from_the_server_is_no_workflow_command() {
    let action = Action::new("hostile");
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let output = action.run(&[("OUTPUT", "-report")]);
        assert_eq!(output.status.code(), Some(1));
        // One stream: the order of two is not known.
        assert!(output.stderr.is_empty());
        let text = String::from_utf8(output.stdout).expect("text");
        let lines: Vec<_> = text.lines().collect();
        let token = lines[0].strip_prefix("::stop-commands::").expect("a token");
        assert!(token.len() >= 32);
        let end = format!("::{token}::");
        let ends: Vec<_> = lines.iter().filter(|line| **line == end).collect();
        assert_eq!(ends.len(), 1, "{text}");
        assert_eq!(lines.last(), Some(&&*end), "{text}");
        for hostile in ["::error::owned", "##[add-mask]e", "::set-output"] {
            assert!(text.contains(hostile), "{text}");
        }
        tokens.push(token.to_owned());
    }
    assert_ne!(tokens[0], tokens[1]);
    let written = fs::read_to_string(action.dir.join("-report")).expect("the output");
    assert!(written.contains("::error::owned") && !written.contains("::stop-commands"));
}

#[test]
fn inputs_become_arguments() {
    let action = Action::new("inputs");
    let expect = "h2\n# what is old\n\n  http/1.1=alert:120  \n";
    let output = action.run(&[("EXPECT", expect), ("INSECURE", "true"), ("WAIT", "3")]);
    let text = String::from_utf8(output.stdout).expect("text");
    let wanted = "<alpn><--format=table><--expect=h2><--expect=http/1.1=alert:120><--insecure>\
                  <--wait=3><--><localhost:1>";
    assert!(text.contains(wanted), "{text}");
    let output = action.run(&[("EXPECT", "\n\n"), ("INSECURE", "false")]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.contains("<alpn><--format=table><--><localhost:1>"),
        "{text}"
    );
}

#[test]
fn wrong_inputs_fail_before_the_command_runs() {
    let action = Action::new("wrong");
    for (input, value) in [("INSECURE", "yes"), ("OUTPUT", "no/such/directory/report")] {
        let output = action.run(&[(input, value)]);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains(value) && !text.contains("<alpn>"), "{text}");
    }
}
