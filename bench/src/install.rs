//! What has to be on the machine before anything can be measured.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::args::{Allocator, Args};

/// The servers in Rust, and how they are wanted.
#[derive(Clone, Debug)]
pub struct Builds {
    target: PathBuf,
    pub allocator: Allocator,
    pub driver: &'static str,
}

impl Builds {
    pub fn new(args: &Args) -> Self {
        // A directory per allocator: neither is taken for the other with --no-build.
        let target = root()
            .join("target/bench-peers")
            .join(args.allocator.name());
        Self {
            target,
            allocator: args.allocator,
            driver: match args.driver {
                crate::args::Driver::Auto => "auto",
                crate::args::Driver::IoUring => "io-uring",
                crate::args::Driver::Epoll => "epoll",
            },
        }
    }

    /// Installs the peers that are packages and builds those that are not.
    pub fn make(&self) -> anyhow::Result<()> {
        eprintln!("bench/setup, and building the servers in Rust");
        succeed(&mut Command::new(root().join("bench/setup")))?;
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--locked", "--bins"])
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(peers());
        if self.allocator != Allocator::System {
            cargo.args(["--features", self.allocator.name()]);
        }
        succeed(&mut cargo)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }
}

/// The repository's root.
pub fn root() -> &'static Path {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench)
}

pub fn peers() -> PathBuf {
    root().join("bench/peers")
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown} failed ({status})");
    Ok(())
}
