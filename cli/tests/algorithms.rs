//! `--ciphers` and `--groups`: by flag, file and variable, at a reload, and what is wrong with a list.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{fs, net::SocketAddr, path::Path};

use support::{
    certificates::{BACKENDS, Running, in_runtime, wait_for},
    command, refusal,
    trusting::{config, connect_to},
};
use tokio::net::TcpStream;

const AES_128: &str = "TLS_AES_128_GCM_SHA256";
const AES_256: &str = "TLS_AES_256_GCM_SHA384";
const OLDER: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";

/// The suite and the group of a connection, by their numbers.
fn negotiated(addr: SocketAddr) -> (u16, u16) {
    in_runtime(async {
        let tcp = TcpStream::connect(addr).await.expect("connects");
        let tls = connect_to("localhost", &config(b"h2"), tcp).await;
        let tls = tls.expect("served");
        let connection = tls.get_ref().1;
        let suite = connection.negotiated_cipher_suite().expect("one");
        let group = connection.negotiated_key_exchange_group().expect("one");
        (suite.suite().into(), group.name().into())
    })
}

fn check(args: &[&str]) -> bool {
    let output = command(&["check", "-q"]).args(args).output();
    output.expect("runs").status.success()
}

#[test]
fn listed_suites_and_groups_are_used_in_their_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("corelane.toml");
    let text = format!(
        "ciphers = [{AES_128:?}, {AES_256:?}, {OLDER:?}]\ngroups = [\"p-384\", \"x25519\"]\n"
    );
    fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8");
    let ciphers = [AES_128, AES_256, &OLDER.to_lowercase()].join(",");
    let flags = ["--ciphers", &ciphers, "--groups", "secp384r1,X25519"];
    for backend in BACKENDS {
        for args in [&flags[..], &["--config", file]] {
            let args = [&["--tls", backend][..], args].concat();
            if *backend == "native-tls" {
                let message = refusal(&[&["check"], &args[..]].concat());
                assert!(message.contains("native-tls does not support --ciphers"));
                let groups = ["check", "--tls", backend, "--groups", "x25519"];
                assert!(refusal(&groups).contains("native-tls does not support --groups"));
                continue;
            }
            assert!(check(&args), "{args:?}");
            let server = Running::start(dir.path(), &args);
            // The client prefers AES-256 and X25519.
            assert_eq!(negotiated(server.addr()), (0x1301, 0x0018), "{args:?}");
        }
    }
    for flags in [["--ciphers", AES_128], ["--groups", "x25519"]] {
        let message = refusal(&[&["check", "--tls", "none"], &flags[..]].concat());
        assert!(
            message.contains("remove --ciphers and --groups"),
            "{message}"
        );
    }
}

#[test]
fn a_reload_changes_both_lists() {
    for backend in BACKENDS.iter().filter(|backend| **backend != "native-tls") {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("corelane.toml");
        let write = |suites: [&str; 2], groups: [&str; 2]| {
            let text = format!(
                "ciphers = {:?}\ngroups = {groups:?}\n",
                [&suites[..], &[OLDER]].concat()
            );
            fs::write(&file, text).expect("written");
        };
        write([AES_256, AES_128], ["x25519", "secp384r1"]);
        let config = file.to_str().expect("UTF-8");
        let server = Running::start(dir.path(), &["--tls", backend, "--config", config]);
        assert_eq!(negotiated(server.addr()), (0x1302, 0x001d));
        write([AES_128, AES_256], ["secp384r1", "x25519"]);
        server.corelane.signal("-HUP");
        wait_for(
            || negotiated(server.addr()) == (0x1301, 0x0018),
            || server.log(),
        );
        // A list that is wrong changes nothing.
        write([AES_128, AES_128], ["x25519", "secp384r1"]);
        server.corelane.signal("-HUP");
        server.wait_for_log("is listed twice");
        assert_eq!(negotiated(server.addr()), (0x1301, 0x0018));
    }
}

#[test]
fn wrong_lists_are_explained_with_their_source() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("corelane.toml");
    for backend in BACKENDS.iter().filter(|backend| **backend != "native-tls") {
        for (key, list, texts) in [
            (
                "ciphers",
                &[AES_128, "AES128-SHA"][..],
                &["unknown cipher suite \"AES128-SHA\"", AES_256, OLDER][..],
            ),
            (
                "groups",
                &["x25519", "curve25519"],
                &["unknown key exchange group \"curve25519\"", "secp256r1"],
            ),
            (
                "ciphers",
                &[AES_128, "TLS_RSA_WITH_AES_128_GCM_SHA256"],
                &[
                    "HTTP/2 forbids TLS_RSA_WITH_AES_128_GCM_SHA256",
                    "remove it",
                ],
            ),
            (
                "ciphers",
                &[AES_128],
                &["none is of TLS 1.2", "accept TLS 1.3 only"],
            ),
            (
                "ciphers",
                &[AES_128, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
                &["the key is ECDSA on P-256", OLDER],
            ),
            (
                "groups",
                &["x25519", "x448"],
                &["rustls does not support x448", "this build has x25519"],
            ),
        ] {
            // OpenSSL has it.
            if *backend != "rustls" && list.contains(&"x448") {
                continue;
            }
            let flag = format!("--{key}={}", list.join(","));
            explained(&["--tls", backend, &flag], key, texts);
            let text = format!("tls = {backend:?}\n{key} = {list:?}\n");
            fs::write(&file, text).expect("written");
            explained(
                &["--config", path(&file)],
                &format!("{}:2", path(&file)),
                texts,
            );
        }
    }
    for flags in [
        &["--min-tls", "1.3", "--ciphers", AES_128][..],
        &["--groups", "x25519"],
    ] {
        let tls = BACKENDS.iter().filter(|backend| **backend != "native-tls");
        for backend in tls {
            let args = [&["--tls", backend], flags].concat();
            assert!(check(&args), "{args:?}");
        }
    }
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

fn explained(args: &[&str], source: &str, texts: &[&str]) {
    for check in [&["check"][..], &[]] {
        let message = refusal(&[check, args].concat());
        for text in [&[source], texts].concat() {
            assert!(message.contains(text), "{args:?}: {text:?}: {message}");
        }
    }
}
