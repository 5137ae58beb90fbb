//! Notices changed contents of files.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use corelane::read_file;

/// Files and their contents: given to [`Reload::watch`](crate::Reload::watch).
///
/// Contents are compared, not times, so that symbolic links that point elsewhere are noticed
/// (Kubernetes updates mounted secrets so).
#[derive(Clone, Debug, Default)]
pub struct WatchedFiles {
    hasher: RandomState,
    files: Vec<(PathBuf, Contents)>,
}

/// A hash, so that private keys are not kept in memory for it. Its key is random, so that
/// contents that collide cannot be chosen.
type Contents = Result<u64, ErrorKind>;

impl WatchedFiles {
    /// Reads the files. Call it before they are loaded for the first time: then a change after this
    /// call is noticed.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let hasher = RandomState::new();
        let files = paths.into_iter().map(Into::into).map(|path| {
            let contents = contents(&hasher, &path);
            (path, contents)
        });
        Self {
            files: files.collect(),
            hasher,
        }
    }

    /// The same files with their contents now.
    pub(crate) fn now(&self) -> Self {
        let files = self.files.iter();
        let files = files.map(|(path, _)| (path.clone(), contents(&self.hasher, path)));
        Self {
            files: files.collect(),
            hasher: self.hasher.clone(),
        }
    }

    pub(crate) fn are_unchanged(&self) -> bool {
        let mut files = self.files.iter();
        files.all(|(path, known)| contents(&self.hasher, path) == *known)
    }
}

fn contents(hasher: &RandomState, path: &Path) -> Contents {
    let kind = |error: io::Error| error.kind();
    // What a FIFO holds can be read once only.
    if !fs::metadata(path).map_err(kind)?.is_file() {
        return Err(ErrorKind::InvalidInput);
    }
    let bytes = read_file(path).map_err(kind)?;
    Ok(hasher.hash_one(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn changed_contents_and_links_are_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("one"), "a").expect("written");
        fs::write(path("two"), "b").expect("written");
        symlink(path("one"), path("link")).expect("a link");
        let files = WatchedFiles::new([path("link")]);
        assert!(files.are_unchanged());
        fs::write(path("one"), "a").expect("written");
        assert!(files.are_unchanged(), "the same contents");
        fs::remove_file(path("link")).expect("removed");
        assert!(!files.are_unchanged());
        symlink(path("two"), path("link")).expect("a link");
        assert!(!files.are_unchanged());
        assert!(files.now().are_unchanged());
    }
}
