//! The command tells which OpenSSL it runs with, and whether FIPS restricts it.
#![cfg(feature = "openssl")]

mod support;

use std::{path::PathBuf, process::Command};

use support::{Corelane, command};

const BACKENDS: &[&str] = &[
    "openssl",
    #[cfg(feature = "native-tls")]
    "native-tls",
];

fn run(args: &[&str], fips: Option<&PathBuf>) -> Command {
    let mut command = command(args);
    if let Some(module) = fips {
        command
            .env("OPENSSL_CONF", module.join("openssl.cnf"))
            .env("OPENSSL_MODULES", module);
    }
    command
}

#[test]
fn the_start_and_check_name_openssl_and_its_fips_provider() {
    let module = std::env::var_os("CORELANE_FIPS_MODULE").map(PathBuf::from);
    if module.is_none() {
        eprintln!("NOT TESTED: there is no FIPS provider (`ci/fips` builds one)");
    }
    for backend in BACKENDS {
        for fips in [None, module.as_ref()] {
            let assert_told = |text: &str| {
                assert!(text.contains(&format!("{backend} (OpenSSL ")), "{text}");
                let told = text.contains(", FIPS provider active: ");
                assert_eq!(told, fips.is_some(), "{text}");
            };
            let check = run(&["check", "--tls", backend], fips).output();
            let check = check.expect("it runs");
            assert!(check.status.success(), "{check:?}");
            let text = String::from_utf8(check.stdout).expect("text");
            let line = text.lines().find(|line| line.starts_with("# TLS: "));
            assert_told(line.expect("a line"));

            let args = ["--tls", backend, "--listen", "127.0.0.1:0"];
            let server = Corelane::start_by(run(&args, fips));
            assert_told(server.printed("TLS: "));
        }
    }
}
