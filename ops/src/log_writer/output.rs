//! The output of a log: a file, standard output or standard error.

#[cfg(feature = "access-log")]
use std::path::{Path, PathBuf};
use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

#[cfg(feature = "access-log")]
use crate::writable::{check_writable, open_to_append};

/// Stands for standard output in place of a path.
#[cfg(feature = "access-log")]
const STANDARD_OUTPUT: &str = "-";

pub(crate) trait Output: Send {
    /// Writes some of the bytes, as [`Write::write`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn reopen(&mut self) -> io::Result<()>;
}

/// Opens a file to append to, or standard output if the path is `-`.
#[cfg(feature = "access-log")]
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn Output>> {
    if path == Path::new(STANDARD_OUTPUT) {
        return stream(&io::stdout());
    }
    Ok(Box::new(LogFile {
        file: open_to_append(path)?,
        path: path.to_owned(),
    }))
}

/// Checks that [`open`] would succeed. Creates no file.
#[cfg(feature = "access-log")]
pub(crate) fn check(path: &Path) -> io::Result<()> {
    match path == Path::new(STANDARD_OUTPUT) {
        true => Ok(()),
        false => check_writable(path),
    }
}

pub(crate) fn standard_error() -> io::Result<Box<dyn Output>> {
    stream(&io::stderr())
}

/// The standard library's own handle would keep its lock while a full pipe blocks the thread, and
/// keep the rest of a line in its buffer.
fn stream(stream: &impl AsFd) -> io::Result<Box<dyn Output>> {
    let file = File::from(stream.as_fd().try_clone_to_owned()?);
    Ok(Box::new(Stream(file)))
}

struct Stream(File);

impl Output for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "access-log")]
struct LogFile {
    file: File,
    path: PathBuf,
}

#[cfg(feature = "access-log")]
impl Output for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = open_to_append(&self.path)?;
        Ok(())
    }
}
