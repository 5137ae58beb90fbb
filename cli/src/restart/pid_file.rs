//! The file that holds the process id of the server that runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use corelane::Error;

/// Written when the server runs, removed when this is dropped, unless another one has written its
/// own by then.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    pub(crate) fn write(path: &Path) -> Result<Self, Error> {
        // Never seen half written.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", process::id()));
        let beside = PathBuf::from(name);
        let written = fs::write(&beside, format!("{}\n", process::id()))
            .and_then(|()| fs::rename(&beside, path));
        match written {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
            }),
            Err(error) => {
                let _ = fs::remove_file(&beside);
                let path = path.display();
                Err(Error::config(format!(
                    "cannot write the pid file {path}: {error}"
                )))
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
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
