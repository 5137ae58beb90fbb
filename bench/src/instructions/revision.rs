//! The tree to compare with.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

use crate::install::{root, succeed};

/// A worktree with this revision. It stays for the next time: only what differs is built again then.
pub fn check_out(revision: &str, tree: &Path) -> anyhow::Result<PathBuf> {
    let git = |directory: &Path| {
        let mut git = Command::new("git");
        git.arg("-C").arg(directory);
        git
    };
    let commit = git(root())
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{revision}^{{commit}}"))
        .output()?;
    ensure!(
        commit.status.success(),
        "there is no revision {revision:?} here"
    );
    let commit = String::from_utf8(commit.stdout)?;
    if tree.join(".git").exists() {
        let checkout = ["checkout", "--quiet", "--detach", "--force", commit.trim()];
        succeed(git(tree).args(checkout))?;
    } else {
        let add = ["worktree", "add", "--quiet", "--detach", "--force"];
        succeed(git(root()).args(add).arg(tree).arg(commit.trim()))?;
    }
    ensure!(
        tree.join("bench/peers/Cargo.toml").exists(),
        "{revision} has no bench/peers to be measured by"
    );
    Ok(tree.to_owned())
}
