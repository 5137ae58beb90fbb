//! The file that holds the process id of the running server.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process,
};

use corelane::read_file;

use crate::{
    Error,
    writable::{check_sibling, write_file},
};

/// A pid file, removed when this is dropped, unless another process has written its own by then.
///
/// It is written in two steps, so that errors show before the server runs and so that the file names
/// the old process until the new one serves.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Written here first and then renamed: no reader sees half a number.
    temporary: PathBuf,
}

impl PidFile {
    /// Writes a temporary file beside `path`. With `replaces`, `path` may name a server that runs.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, and when it names another running process of the same
    /// program and `replaces` is false.
    pub fn prepare(path: impl Into<PathBuf>, replaces: bool) -> Result<Self, Error> {
        let path = path.into();
        if !replaces && let Some((process, name)) = other_server(&path) {
            return Err(Error::new(format!(
                "the pid file {} belongs to the running process {process} ({name}): use another pid \
                 file, or upgrade or end that process first",
                path.display()
            )));
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", process::id()));
        let file = Self {
            temporary: temporary.into(),
            path,
        };
        let written = check_replaceable(&file.path)
            .and_then(|()| write_file(&file.temporary, format!("{}\n", process::id())));
        written.map_err(|error| cannot_write(&file.path, error))?;
        Ok(file)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn publish(&self) -> Result<(), Error> {
        fs::rename(&self.temporary, &self.path).map_err(|error| cannot_write(&self.path, error))
    }

    /// Checks that a pid file could be written, without writing it.
    ///
    /// # Errors
    ///
    /// When it could not be written.
    pub fn check(path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let checked = check_replaceable(path).and_then(|()| check_sibling(path));
        checked.map_err(|error| cannot_write(path, error))
    }

    /// The process id in a pid file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds no process id.
    pub fn read(path: impl AsRef<Path>) -> Result<u32, Error> {
        let path = path.as_ref();
        read(path).map_err(|error| {
            let message = format!(
                "cannot read a process id from the pid file {}",
                path.display()
            );
            Error::with_source(message, error)
        })
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::with_source(
        format!("cannot write the pid file {}", path.display()),
        error,
    )
}

/// A pid file replaces the file that was there, which must not be a device or a FIFO.
fn check_replaceable(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "is a device, a FIFO or a socket, expected a regular file",
        )),
        _ => Ok(()),
    }
}

/// The process that a pid file names, if it is another one of the same program. The id may have been
/// reused by another program, or by this process, since the server that wrote it crashed.
fn other_server(path: &Path) -> Option<(u32, String)> {
    let name = |process: u32| fs::read_to_string(format!("/proc/{process}/comm"));
    let process = read(path).ok().filter(|id| *id != process::id())?;
    let own = name(process::id()).ok()?;
    let other = name(process).ok().filter(|other| *other == own)?;
    Some((process, other.trim_end().to_owned()))
}

fn read(path: &Path) -> io::Result<u32> {
    let text = read_file(path)?;
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    text.parse().map_err(|_| {
        let message = format!("{text:?} is not a process id");
        io::Error::new(ErrorKind::InvalidData, message)
    })
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Exists only if it was not published.
        let _ = fs::remove_file(&self.temporary);
        if read(&self.path).is_ok_and(|id| id == process::id())
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%error, %path, "cannot remove the pid file");
        }
    }
}
