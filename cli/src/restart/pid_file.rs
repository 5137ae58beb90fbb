//! The file that holds the process id of the server that runs.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process,
};

use corelane::Error;

/// Written in two steps: what can fail is known before the server runs, and the file names another
/// one until this one serves. Removed when this is dropped, unless another one has written its own by
/// then.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// Never seen half written: it is made here.
    beside: PathBuf,
}

impl PidFile {
    /// Writes it beside its place.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Error> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", process::id()));
        let file = Self {
            path: path.to_owned(),
            beside: PathBuf::from(name),
        };
        let written = match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
            _ => fs::write(&file.beside, format!("{}\n", process::id())),
        };
        written.map_err(|error| file.cannot_be_written(&error))?;
        Ok(file)
    }

    /// Puts it in its place.
    pub(crate) fn publish(&self) -> Result<(), Error> {
        fs::rename(&self.beside, &self.path).map_err(|error| self.cannot_be_written(&error))
    }

    fn cannot_be_written(&self, error: &io::Error) -> Error {
        let path = self.path.display();
        Error::config(format!("cannot write the pid file {path}: {error}"))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // There only if it was not published.
        let _ = fs::remove_file(&self.beside);
        if read(&self.path).is_ok_and(|id| id == process::id())
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%error, %path, "the pid file cannot be removed");
        }
    }
}

pub(super) fn read(path: &Path) -> io::Result<u32> {
    let text = fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| {
        let text = text.trim();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{text:?} is no process id"),
        )
    })
}
