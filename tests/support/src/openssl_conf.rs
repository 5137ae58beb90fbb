//! Processes with another configuration of OpenSSL, which it reads once per process.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

const CASE: &str = "CORELANE_TEST_CASE";

/// The case that [`run`] gave to this process.
pub fn case() -> Option<String> {
    std::env::var(CASE).ok()
}

/// Runs one test of this binary again, as a case with this `openssl.cnf`.
pub fn run(test: &str, case: &str, conf: &str, change: impl FnOnce(&mut Command)) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("openssl.cnf");
    std::fs::write(&file, conf).expect("written");
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args(["--exact", test])
        .env("OPENSSL_CONF", file)
        .env(CASE, case);
    change(&mut command);
    let Output { status, stdout, .. } = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{case}: {text}");
    assert!(text.contains("1 passed"), "{case}: {text}");
}

/// A configuration whose section `system_default` has these lines.
pub fn policy(lines: &str) -> String {
    format!(
        "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\n\
         {lines}\n"
    )
}

/// The directory with `fips.so` and `fipsmodule.cnf`, which `ci/fips` makes. Says if there is none.
pub fn fips_module() -> Option<PathBuf> {
    let module = std::env::var_os("CORELANE_FIPS_MODULE").map(PathBuf::from);
    if module.is_none() {
        eprintln!("NOT TESTED: there is no FIPS provider (`ci/fips` builds one)");
    }
    module
}

/// A configuration with this provider alone, and with lines of the section `system_default`.
pub fn fips(module: &std::path::Path, lines: &str) -> String {
    let section = match lines {
        // OpenSSL ignores the whole file if the section is empty.
        "" => String::new(),
        lines => format!("ssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\n{lines}\n"),
    };
    format!(
        "openssl_conf = init\n.include {}\n[providers]\nfips = fips_sect\nbase = base\n[base]\n\
         activate = 1\n[algorithms]\ndefault_properties = fips=yes\n\
         [init]\nproviders = providers\nalg_section = algorithms\n{section}",
        module.join("fipsmodule.cnf").display()
    )
}
