//! Opens files to write, and tells whether that is possible, without ever waiting for a reader.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use nix::{errno::Errno, fcntl::OFlag};

/// Checks that a file can be written, without creating or changing it: for a command that checks a
/// configuration. A full disk is not noticed.
///
/// # Errors
///
/// When the file cannot be opened for writing, or does not exist and its directory does not accept
/// a new file. When it is a FIFO that no process reads.
pub fn check_writable(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    match open(OpenOptions::new().append(true), path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_sibling(path),
        opened => opened.map(drop),
    }
}

/// Replaces the contents of a file, as [`std::fs::write`] does, but never waits for the reader of a
/// FIFO.
///
/// # Errors
///
/// When the file cannot be opened or written. When it is a FIFO that no process reads.
pub fn write_file(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    open(options, path.as_ref())?.write_all(contents.as_ref())
}

/// Opens a file to append to. Writing to it waits for the reader of a FIFO, opening it does not.
#[cfg(feature = "access-log")]
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    use nix::fcntl::{FcntlArg, fcntl};

    let file = open(OpenOptions::new().append(true).create(true), path)?;
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file)
}

/// Checks that a new file can be created beside this one.
pub(crate) fn check_sibling(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    // The file has no name: it vanishes when it is closed.
    tempfile::tempfile_in(parent.unwrap_or(Path::new("."))).map(drop)
}

/// Opens a file that may turn out to be a FIFO or a device, without waiting for it.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    options
        .custom_flags(flags.bits())
        .open(path)
        .map_err(|error| explain(error, path))
}

/// Says what `ENXIO` means: in the words of the system, "no such device or address".
fn explain(error: io::Error, path: &Path) -> io::Error {
    if error.raw_os_error() != Some(Errno::ENXIO as i32) {
        return error;
    }
    let Ok(kind) = fs::metadata(path).map(|metadata| metadata.file_type()) else {
        return error;
    };
    let why = if kind.is_fifo() {
        "is a FIFO that no process reads: start the reader first"
    } else if kind.is_socket() {
        "is a socket, which cannot be opened as a file: use - for standard output"
    } else {
        return error;
    };
    io::Error::new(error.kind(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "access-log")]
    #[test]
    fn opening_a_fifo_does_not_wait_for_its_reader() {
        use nix::{
            fcntl::{FcntlArg, fcntl},
            sys::stat::Mode,
            unistd::mkfifo,
        };

        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
        for refused in [
            check_writable(&fifo),
            write_file(&fifo, "text"),
            open_to_append(&fifo).map(drop),
        ] {
            let why = refused.expect_err("no reader").to_string();
            assert!(why.contains("FIFO that no process reads"), "{why}");
        }
        let mut reader = OpenOptions::new();
        let reader = reader.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let _reader = reader.open(&fifo).expect("a reader");
        check_writable(&fifo).expect("a reader");
        let file = open_to_append(&fifo).expect("a reader");
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL).expect("flags"));
        assert!(
            !flags.contains(OFlag::O_NONBLOCK),
            "writes wait for the reader"
        );
    }

    #[test]
    fn devices_can_be_written_and_directories_cannot() {
        check_writable("/dev/null").expect("a device");
        write_file("/dev/null", "text").expect("a device");
        let error = check_writable("/").expect_err("a directory");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
