//! No message of the command contains a part of a secret, however a file or an option is malformed.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{fs, path::Path, process::Output};

use support::{
    certificates::{BACKENDS, Certificate, Files, certificate},
    command,
};

/// Characters of a secret in a row that count as a part of it.
const PART: usize = 12;

fn output(backend: &str, args: &[&str]) -> Output {
    let checked = [
        &["check", "--tls", backend, "--listen", "127.0.0.1:0"],
        args,
    ]
    .concat();
    let output = command(&checked).output().expect("the command runs");
    assert!(!output.status.success(), "{args:?} is accepted");
    output
}

/// The message, which contains no part of the secret.
#[track_caller]
fn message_without(secret: &str, output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = secret.split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/');
    for line in lines.filter(|line| line.len() >= PART && *line != "CERTIFICATE") {
        for at in 0..=line.len() - PART {
            assert!(
                !text.contains(&line[at..at + PART]),
                "a secret is in: {text}"
            );
        }
    }
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// The Base64 of a key.
fn secret(certificate: &Certificate) -> String {
    let lines = certificate.key.lines();
    lines.filter(|line| !line.starts_with('-')).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn malformed_keys_are_explained_without_their_text() {
    let good = certificate("localhost");
    let key = &good.key;
    for (malformed, wanted) in [
        (
            key.trim().replace('\n', "\\n").into_bytes(),
            "the line breaks are lost",
        ),
        (
            key.trim().replace('\n', "").into_bytes(),
            "not followed by a line break",
        ),
        (
            key.trim().replace('\n', " ").into_bytes(),
            "not followed by a line break",
        ),
        (
            format!("\"{key}\"").into_bytes(),
            "not at the beginning of its line",
        ),
        (key.as_bytes()[..key.len() - 30].to_vec(), "no `-----END`"),
        (key.replacen('M', "?", 1).into_bytes(), "not Base64"),
        (key.replacen("END", "ENO", 1).into_bytes(), "not Base64"),
        (
            key.replace("PRIVATE KEY", "PRIVATE KEYS").into_bytes(),
            "a block of another kind",
        ),
        (utf_16(key), "UTF-16"),
        (format!("{key}{key}").into_bytes(), "a second private key"),
        (secret(&good).into_bytes(), "it is not PEM"),
        (Vec::new(), "it is empty"),
    ] {
        for backend in BACKENDS {
            let dir = tempfile::tempdir().expect("a directory");
            let files = Files::of(dir.path(), &good);
            fs::write(&files.key, &malformed).expect("written");
            let message = message_without(&secret(&good), &output(backend, &files.args()));
            assert!(message.contains("tls.key"), "{message}");
            assert!(message.contains(wanted), "{wanted:?} is not in: {message}");
        }
    }
}

#[test]
fn a_secret_in_the_place_of_a_file_name_is_not_printed() {
    let good = certificate("localhost");
    let ticket_key = "0123456789abcdef".repeat(4);
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::of(dir.path(), &good);
        let [cert, key] = [&files.cert, &files.key].map(|file| file.to_str().expect("UTF-8"));
        for args in [
            &["--cert", cert, "--key", &good.key][..],
            &["--cert", &good.key, "--key", key],
            &["--cert", cert, "--key", &good.key.replace('\n', "\\n")],
            &[&format!("--key={}", good.key)],
            &["--unknown", &good.key],
        ] {
            let message = message_without(&secret(&good), &output(backend, args));
            assert!(message.contains("the content of a file"), "{message}");
        }
        let args = ["--cert", cert, "--key", key, "--ticket-keys", &ticket_key];
        let message = message_without(&ticket_key, &output(backend, &args));
        assert!(message.contains("the content of a file"), "{message}");
        let config = ["--config", key];
        message_without(&secret(&good), &output(backend, &config));
    }
}

#[test]
fn a_secret_in_the_environment_or_the_configuration_is_not_printed() {
    let good = certificate("localhost");
    let ticket_key = "fedcba9876543210".repeat(4);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("corelane.toml");
    for (key, value) in [
        ("key", &good.key),
        ("ticket-keys", &ticket_key),
        ("workers", &ticket_key),
        ("unknown", &good.key),
    ] {
        let variable = format!("CORELANE_{}", key.replace('-', "_").to_uppercase());
        let output = command(&["check"]).env(variable, value).output();
        let output = output.expect("the command runs");
        assert!(key == "unknown" || !output.status.success());
        message_without(value, &output);
        fs::write(&file, format!("{key} = '''{value}'''\n")).expect("written");
        let config = ["check", "--config", file.to_str().expect("UTF-8")];
        let output = command(&config).output().expect("the command runs");
        assert!(!output.status.success());
        message_without(value, &output);
    }
    let broken = &ticket_key[1..];
    let output = command(&["check"])
        .env("CORELANE_TICKET_SECRETS", broken)
        .output();
    message_without(broken, &output.expect("the command runs"));
}

/// native-tls has no ticket keys.
#[test]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn valid_secrets_are_not_printed() {
    let good = certificate("localhost");
    let ticket_key = "0f1e2d3c4b5a6978".repeat(4);
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::of(dir.path(), &good);
    let output = command(&["check", "--tls", "rustls", "--listen", "127.0.0.1:0"])
        .args(files.args())
        .env("CORELANE_TICKET_SECRETS", &ticket_key)
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{output:?}");
    message_without(&ticket_key, &output);
    let text = message_without(&secret(&good), &output);
    assert!(text.contains("tls.key"), "{text}");
}

#[test]
fn malformed_ticket_keys_are_explained_without_their_text() {
    let good = certificate("localhost");
    let ticket_key = "89abcdef01234567".repeat(4);
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::of(dir.path(), &good);
    let file = dir.path().join("ticket.keys");
    for malformed in [
        ticket_key[1..].to_owned(),
        ticket_key.replace("89", "8g"),
        format!("key = \"{ticket_key}\""),
        format!("{ticket_key}\n{ticket_key}\n"),
        format!("{ticket_key},{ticket_key}"),
    ] {
        fs::write(&file, &malformed).expect("written");
        for backend in BACKENDS {
            for args in [ticket_args(&files, &file), config_args(&file)] {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                message_without(&malformed, &output(backend, &args));
            }
        }
    }
}

fn ticket_args(files: &Files, ticket_keys: &Path) -> Vec<String> {
    let mut args = files.args().map(str::to_owned).to_vec();
    args.extend(["--ticket-keys".into(), ticket_keys.display().to_string()]);
    args
}

/// The file with keys in the place of the configuration file.
fn config_args(file: &Path) -> Vec<String> {
    vec!["--config".into(), file.display().to_string()]
}
