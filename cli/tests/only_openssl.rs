//! The script `ci/only-openssl` and its GitHub action, on programs that use OpenSSL alone and on others.
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const OPENSSL: &[&str] = &["--", "--no-default-features", "--features", "openssl"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the script finds; `None` if it finds nothing.
fn found(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => None,
        Some(1) => Some(text),
        _ => panic!("{output:?}"),
    }
}

fn check(args: &[&[&str]]) -> Option<String> {
    let mut command = Command::new(root().join("ci/only-openssl"));
    let output = command.current_dir(root()).args(args.concat()).output();
    found(&output.expect("bash"))
}

fn assert_finds(found: Option<String>, wanted: &[&str]) {
    let found = found.expect("it is refused");
    for wanted in wanted {
        assert!(found.contains(wanted), "{wanted:?} is not in:\n{found}");
    }
}

#[test]
fn crates_of_other_cryptography_are_found() {
    assert_eq!(check(&[&["corelane-cli"], OPENSSL]), None);
    assert_eq!(
        check(&[&[
            "corelane-cli",
            "--",
            "--no-default-features",
            "--features=native-tls"
        ]]),
        None
    );
    let rustls = ["corelane-cli depends on crate rustls:", "crate aws-lc-sys:"];
    assert_finds(
        check(&[&["corelane-cli", "--", "--features=openssl"]]),
        &rustls,
    );
    let vendored = [
        "corelane-cli",
        "--",
        "--no-default-features",
        "--features=openssl-vendored",
    ];
    assert_finds(check(&[&vendored]), &["builds its own OpenSSL"]);
    let none = ["corelane-cli", "--", "--no-default-features"];
    assert_finds(check(&[&none]), &["does not depend on crate openssl-sys"]);
    // An allowed crate allows no other.
    let allowed = [
        "--allow",
        "rustls",
        "--allow",
        "rustls-webpki",
        "corelane-cli",
    ];
    let found = check(&[&allowed, &["--", "--features=openssl"]]).expect("aws-lc is left");
    assert!(
        found.contains("aws-lc-rs") && !found.contains("crate rustls"),
        "{found}"
    );
}

/// Builds a program in C that calls OpenSSL.
fn c_program(dir: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let (source, program) = (dir.join("main.c"), dir.join(name));
    let code = "#include <openssl/rand.h>\n#include <openssl/ssl.h>\n\
                int main(void) { unsigned char it; RAND_bytes(&it, 1);\n\
                return SSL_CTX_new(TLS_server_method()) == 0; }\n";
    fs::write(&source, code).expect("written");
    let mut compile = Command::new("cc");
    compile.arg(source).arg("-o").arg(&program).args(flags);
    assert!(compile.status().expect("cc").success(), "{flags:?}");
    program
}

#[test]
fn a_static_openssl_is_found_also_if_stripped() {
    let dir = tempfile::tempdir().expect("a directory");
    let dynamic = ["-lssl", "-lcrypto"];
    let fixed = ["-l:libssl.a", "-l:libcrypto.a", "-ldl", "-pthread"];
    for strip in [&[][..], &["-s"]] {
        let judge = |name, flags: &[&str]| {
            let program = c_program(dir.path(), name, &[flags, strip].concat());
            check(&[&["corelane-cli", program.to_str().expect("UTF-8")], OPENSSL])
        };
        assert_eq!(judge("dynamic", &dynamic), None, "{strip:?}");
        let words = [
            "is not linked to the system's libssl",
            "contains OpenSSL itself",
        ];
        assert_finds(judge("static", &fixed), &words);
    }
}

/// The command as the tests were built.
#[test]
fn the_command_is_judged_right_also_if_stripped() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = env!("CARGO_BIN_EXE_corelane");
    let stripped = dir.path().join("corelane");
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(whole)
        .status();
    assert!(strip.expect("strip").success());
    for program in [whole, stripped.to_str().expect("UTF-8")] {
        let found = check(&[&["corelane-cli", program], OPENSSL]);
        if cfg!(any(
            feature = "native-tls-vendored",
            feature = "openssl-vendored"
        )) {
            assert_finds(found, &["contains OpenSSL itself"]);
        } else if cfg!(feature = "rustls") {
            let words = [
                "contains crate rustls",
                "contains an implementation of TLS 1.3",
            ];
            assert_finds(found, &words);
        } else if cfg!(any(feature = "native-tls", feature = "openssl")) {
            assert_eq!(found, None, "{program}");
        } else {
            assert_finds(found, &["is not linked to the system's libssl"]);
        }
    }
}

#[test]
fn inputs_of_the_action_become_arguments() {
    let run = |inputs: &[(&str, &str)]| {
        let mut action = Command::new(root().join(".github/actions/only-openssl/run"));
        action.current_dir(root()).env("PACKAGE", "corelane-cli");
        for input in ["BINARY", "CARGO_FLAGS", "ALLOW"] {
            action.env(input, "");
        }
        action.envs(inputs.iter().copied()).output().expect("bash")
    };
    let flags = ("CARGO_FLAGS", "--no-default-features\n--features openssl\n");
    assert_eq!(found(&run(&[flags])), None);
    let rustls = ("ALLOW", "rustls rustls-webpki aws-lc-rs aws-lc-sys sha2");
    assert_finds(found(&run(&[])), &["does not depend on crate openssl-sys"]);
    let both = ("CARGO_FLAGS", "--features openssl");
    assert_eq!(found(&run(&[both, rustls])), None);
    let output = run(&[flags, ("BINARY", "Cargo.toml")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn mistakes_are_explained() {
    for (args, words) in [
        (
            &["corelane-cli", "--", "--features=nonsense"][..],
            "nonsense",
        ),
        (
            &["corelane-cli", "no-such-file"],
            "no-such-file is no ELF file",
        ),
        (
            &["--features", "openssl", "corelane-cli"],
            "flags of cargo come after --",
        ),
        (&[], "name a package"),
    ] {
        let mut command = Command::new(root().join("ci/only-openssl"));
        let output = command
            .current_dir(root())
            .args(args)
            .output()
            .expect("bash");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(words), "{text}");
    }
}
