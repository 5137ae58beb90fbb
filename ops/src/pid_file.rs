//! The file that holds the process id of the running server.
//!
//! The server holds a lock on the file (`fcntl(2)`, `F_SETLK`), and the kernel tells others who holds
//! it. A process id alone may belong to another program by now, since the server that wrote it crashed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

use crate::{
    Error,
    process::{is_running, name},
    writable::{check_sibling, open},
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
    /// The lock ends when this process closes the file, by whichever descriptor. Therefore it does not
    /// open the file again.
    file: File,
}

impl PidFile {
    /// Writes a temporary file beside `path`. With `replaces`, `path` may belong to a server that
    /// runs.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or locked, and when it belongs to another running server and
    /// `replaces` is false.
    pub fn prepare(path: impl Into<PathBuf>, replaces: bool) -> Result<Self, Error> {
        let path = path.into();
        if !replaces && let Some(process) = open_to_read(&path).ok().and_then(|it| holder(&it)) {
            let name = name(process).unwrap_or_default();
            return Err(Error::new(format!(
                "the pid file {} belongs to the running process {process} ({name}): use another pid \
                 file, or upgrade or end that process first",
                path.display()
            )));
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", process::id()));
        let temporary = PathBuf::from(temporary);
        let file = check_replaceable(&path).and_then(|()| write_locked(&temporary));
        let file = file.map_err(|error| cannot_write(&path, error))?;
        Ok(Self {
            path,
            temporary,
            file,
        })
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

    /// The process id of the server that holds this pid file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, when no server holds it, since the one that wrote it has ended,
    /// and when the server runs in another container.
    pub fn read(path: impl AsRef<Path>) -> Result<u32, Error> {
        let path = path.as_ref();
        let name = path.display();
        let file = open_to_read(path).map_err(|error| {
            Error::with_source(format!("cannot read the pid file {name}"), error)
        })?;
        match holder(&file) {
            Some(0) => Err(Error::new(format!(
                "the server of the pid file {name} runs in another container: run the command there"
            ))),
            Some(process) => Ok(process),
            None => Err(Error::new(format!(
                "no server holds the pid file {name}: the one that wrote it has ended"
            ))),
        }
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

fn open_to_read(path: &Path) -> io::Result<File> {
    check_replaceable(path)?;
    open(OpenOptions::new().read(true), path)
}

fn write_locked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let mut file = open(options, path)?;
    let locked = fcntl(&file, FcntlArg::F_SETLK(&whole_file(libc::F_WRLCK)));
    let written = match locked {
        Ok(_) => writeln!(file, "{}", process::id()),
        Err(error) => Err(io::Error::other(format!("cannot lock it: {error}"))),
    };
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

/// The process that holds the lock of a server, if it is not this one; 0 if it is outside of this
/// process's container. Only who may write the file can hold it.
fn holder(file: &File) -> Option<u32> {
    let mut lock = whole_file(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    let held = i32::from(lock.l_type) != libc::F_UNLCK;
    let holder = held.then(|| u32::try_from(lock.l_pid).unwrap_or(0))?;
    // A killed process holds it until its last thread has ended.
    (holder == 0 || is_running(holder)).then_some(holder)
}

fn whole_file(kind: i32) -> libc::flock {
    libc::flock {
        // Small constants.
        l_type: kind as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Exists only if it was not published.
        let _ = fs::remove_file(&self.temporary);
        let file = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let own = self.file.metadata().map(file);
        let is_own = |found| own.is_ok_and(|own| own == found);
        if fs::symlink_metadata(&self.path).map(file).is_ok_and(is_own)
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%error, %path, "cannot remove the pid file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_server_names_no_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pid");
        // This process runs, but has not written the file.
        fs::write(&path, format!("{}\n", process::id())).expect("written");
        let error = PidFile::read(&path).expect_err("no process holds it");
        assert!(error.to_string().contains("no server holds"), "{error}");
        let file = PidFile::prepare(&path, false).expect("it is stale");
        file.publish().expect("published");
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text, format!("{}\n", process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_another_process_has_replaced_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pid");
        let old = PidFile::prepare(&path, false).expect("written");
        old.publish().expect("published");
        fs::remove_file(&path).expect("there");
        fs::write(&path, format!("{}\n", process::id())).expect("written");
        drop(old);
        assert!(path.exists());
    }
}
