//! The source tree to compare with.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

use crate::install::{root, succeed};

/// Checks out the revision in a worktree, which is kept so that the next build is incremental.
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
        "the repository has no revision {revision:?}"
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
        "revision {revision} has no bench/peers to build"
    );
    Ok(tree.to_owned())
}
