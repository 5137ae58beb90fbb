//! Whether a file could be written, without writing it.

use std::{fs::OpenOptions, io, path::Path};

/// Makes no file. Says nothing of a disk that is full.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_beside(path),
        opened => opened.map(drop),
    }
}

/// Whether a file can be made there.
pub(crate) fn check_beside(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    // Gone when it is closed.
    tempfile::tempfile_in(parent.unwrap_or(Path::new("."))).map(drop)
}
