//! The file that holds the process id of the server that runs.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process,
};

use corelane::Error;

use crate::writable;

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
    /// Writes it beside its place. The file of a server that runs is only for one that `replaces` it.
    pub(crate) fn prepare(path: &Path, replaces: bool) -> Result<Self, Error> {
        if !replaces && let Some(process) = other_server(path) {
            return Err(Error::config(format!(
                "the pid file {} is of process {process}, a corelane that runs: give this one another \
                 file, wait until that one has ended, or replace it by corelane upgrade",
                path.display()
            )));
        }
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
        written.map_err(|error| cannot_be_written(path, &error))?;
        Ok(file)
    }

    /// Whether it could be written; writes nothing.
    pub(crate) fn check(path: &Path) -> Result<(), Error> {
        let could = match path.is_dir() {
            true => Err(ErrorKind::IsADirectory.into()),
            false => writable::check_beside(path),
        };
        could.map_err(|error| cannot_be_written(path, &error))
    }

    /// Puts it in its place.
    pub(crate) fn publish(&self) -> Result<(), Error> {
        fs::rename(&self.beside, &self.path).map_err(|error| cannot_be_written(&self.path, &error))
    }
}

fn cannot_be_written(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    Error::config(format!("cannot write the pid file {path}: {error}"))
}

/// The process that a pid file names, if that one is a server too. Another program may have its number
/// by now, and this one may have the number that it had before a crash.
fn other_server(path: &Path) -> Option<u32> {
    let name = |process: u32| fs::read_to_string(format!("/proc/{process}/comm"));
    let process = read(path).ok().filter(|id| *id != process::id())?;
    let own = name(process::id()).ok()?;
    (name(process).ok()? == own).then_some(process)
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
