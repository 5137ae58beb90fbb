//! Tells whether a file can be written, without writing it.

use std::{fs::OpenOptions, io, path::Path};

/// Checks that a file can be written, without creating or changing it: for a command that checks a
/// configuration. A full disk is not noticed.
///
/// # Errors
///
/// When the file cannot be opened for writing, or does not exist and its directory does not accept
/// a new file.
pub fn check_writable(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_sibling(path),
        opened => opened.map(drop),
    }
}

/// Checks that a new file can be created beside this one.
pub(crate) fn check_sibling(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    // The file has no name: it vanishes when it is closed.
    tempfile::tempfile_in(parent.unwrap_or(Path::new("."))).map(drop)
}
