//! The machine, and the versions of everything that takes part.

use std::{collections::BTreeMap, fs, process::Command, time::SystemTime};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{
    install::{self, path_with_sbin},
    site::Site,
};

#[derive(Debug, Serialize)]
pub struct Machine {
    pub date: String,
    pub commit: String,
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub governor: Option<String>,
    pub rustc: String,
    pub allocator: &'static str,
    pub driver: &'static str,
    pub rounds: u32,
    pub quick: bool,
    /// True on a machine with two cores.
    pub client_shares_core_with_second_worker: bool,
    pub versions: BTreeMap<String, String>,
}

pub fn describe(site: &Site) -> anyhow::Result<Machine> {
    let cpu = <procfs::CpuInfo as procfs::Current>::current()?;
    let cpu = cpu.model_name(0).unwrap_or("unknown").to_owned();
    Ok(Machine {
        date: httpdate::fmt_http_date(SystemTime::now()),
        commit: commit(),
        cpu,
        cores: std::thread::available_parallelism()?.get(),
        kernel: read("/proc/sys/kernel/osrelease").context("no kernel release")?,
        governor: read(&format!(
            "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor",
            site.cores.server
        )),
        rustc: first_line("rustc", &["--version"]).unwrap_or_default(),
        allocator: site.builds.allocator.name(),
        driver: site.builds.driver.name(),
        rounds: site.plan.rounds,
        quick: site.plan.quick,
        client_shares_core_with_second_worker: site.cores.client == site.cores.second,
        versions: versions()?,
    })
}

/// The commit, with a note if the work tree has changes.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .current_dir(install::root())
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]).filter(|it| !it.is_empty()) {
        None => "unknown".into(),
        // New results in the tree do not affect the measurement.
        Some(commit) => match git(&["status", "--porcelain", "--", ".", ":!bench/results"]) {
            Some(changes) if changes.is_empty() => commit,
            _ => format!("{commit} with changes"),
        },
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command
        .args(args)
        .env("PATH", path_with_sbin())
        .output()
        .ok()?;
    // nginx prints its version to standard error.
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).lines().next()?.to_owned())
}

fn versions() -> anyhow::Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    for (program, flag) in [
        ("nginx", "-v"),
        ("h2o", "-v"),
        ("nghttpd", "--version"),
        ("h2load", "--version"),
        ("openssl", "version"),
    ] {
        let line = first_line(program, &[flag]).unwrap_or_else(|| "not found".into());
        versions.insert(program.to_owned(), version(&line));
    }
    const CRATES: [&str; 19] = [
        "actix-web",
        "axum",
        "axum-server",
        "corelane",
        "h2",
        "hyper",
        "hyper-util",
        "io-uring",
        "mimalloc",
        "monoio",
        "native-tls",
        "ntex",
        "rustls",
        "tikv-jemallocator",
        "tokio",
        "tokio-native-tls",
        "tokio-openssl",
        "tokio-rustls",
        "xitca-http",
    ];
    for Package { name, version } in locked()? {
        if CRATES.contains(&name.as_str()) {
            // actix-web and xitca-http use other versions of some crates than the rest.
            let entry = versions.entry(name);
            entry
                .and_modify(|all| *all = format!("{all} and {version}"))
                .or_insert(version);
        }
    }
    Ok(versions)
}

/// The first word that begins with a digit, as in "nginx version: nginx/1.22.1", "nghttpd
/// nghttp2/1.52.0" or "OpenSSL 3.0.19 27 Jan 2026".
fn version(line: &str) -> String {
    line.split([' ', '/'])
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(line)
        .to_owned()
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// The packages that the servers in Rust are built from.
fn locked() -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    let path = install::peers().join("Cargo.lock");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lock: Lock = toml::from_str(&text)?;
    Ok(lock.package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_the_first_word_with_a_digit() {
        assert_eq!(version("nginx version: nginx/1.22.1"), "1.22.1");
        assert_eq!(version("nghttpd nghttp2/1.52.0"), "1.52.0");
        assert_eq!(version("h2o version 2.2.5"), "2.2.5");
        assert_eq!(
            version("OpenSSL 3.0.19 27 Jan 2026 (Library: ...)"),
            "3.0.19"
        );
        assert_eq!(version("not found"), "not found");
    }
}
