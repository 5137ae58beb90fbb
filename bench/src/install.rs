//! Installs and builds the servers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::options::{Allocator, Driver};

/// The servers written in Rust, and the options they are built and started with.
#[derive(Clone, Debug)]
pub struct Builds {
    target: PathBuf,
    pub allocator: Allocator,
    pub driver: Driver,
}

impl Builds {
    pub fn new(allocator: Allocator, driver: Driver) -> Self {
        Self {
            target: target_of(allocator),
            allocator,
            driver,
        }
    }

    /// Builds corelane's command, as it is released.
    pub fn make_command(&self) -> anyhow::Result<()> {
        let mut cargo = cargo_build(root(), &command_target());
        succeed(cargo.args(["--package", "corelane-cli"]))
    }

    /// corelane's command.
    pub fn command(&self) -> PathBuf {
        command_target().join("release/corelane")
    }

    /// Installs the peers from packages and builds those written in Rust.
    pub fn make(&self) -> anyhow::Result<()> {
        eprintln!("running bench/setup and building the servers in Rust");
        succeed(&mut Command::new(root().join("bench/setup")))?;
        let mut cargo = cargo_build(&peers(), &self.target);
        cargo.arg("--bins");
        if self.allocator != Allocator::System {
            cargo.args(["--features", self.allocator.name()]);
        }
        succeed(&mut cargo)
    }

    /// Builds only this program of the peers.
    pub fn make_program(&self, name: &str) -> anyhow::Result<()> {
        succeed(cargo_build(&peers(), &self.target).args(["--bin", name]))
    }

    /// Builds only this server, with the system's allocator, from the source tree at `root`, and copies
    /// it to `program`.
    pub fn make_one(server: &str, root: &Path, program: &Path) -> anyhow::Result<()> {
        let target = target_of(Allocator::System);
        let mut cargo = cargo_build(&root.join("bench/peers"), &target);
        succeed(cargo.args(["--quiet", "--bin", server]))?;
        fs::copy(target.join("release").join(server), program)
            .with_context(|| format!("cannot write {}", program.display()))?;
        Ok(())
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }
}

/// One target directory for each allocator, so that `--no-build` never uses the wrong build.
fn target_of(allocator: Allocator) -> PathBuf {
    root().join("target/bench-peers").join(allocator.name())
}

fn command_target() -> PathBuf {
    root().join("target/bench-command")
}

fn cargo_build(peers: &Path, target: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(target)
        .current_dir(peers);
    cargo
}

/// The repository's root.
pub fn root() -> &'static Path {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench)
}

pub fn peers() -> PathBuf {
    root().join("bench/peers")
}

pub fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown} failed ({status})");
    Ok(())
}

/// Debian keeps servers in directories that are only in root's search path.
pub fn path_with_sbin() -> String {
    format!(
        "{}:/usr/sbin:/usr/local/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}
