//! The output of the log: a file, or standard output.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::check_writable;

/// Stands for standard output in place of a path.
const STANDARD_OUTPUT: &str = "-";

pub(super) trait Output: Send {
    fn write(&mut self, lines: &str) -> io::Result<()>;
    fn reopen(&mut self) -> io::Result<()>;
}

pub(super) fn open(path: &Path) -> io::Result<Box<dyn Output>> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Box::new(StandardOutput));
    }
    Ok(Box::new(LogFile {
        file: open_to_append(path)?,
        path: path.to_owned(),
    }))
}

/// Checks that [`open`] would succeed. Creates no file.
pub(super) fn check(path: &Path) -> io::Result<()> {
    match path == Path::new(STANDARD_OUTPUT) {
        true => Ok(()),
        false => check_writable(path),
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

struct StandardOutput;

impl Output for StandardOutput {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(lines.as_bytes())?;
        out.flush()
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogFile {
    file: File,
    path: PathBuf,
}

impl Output for LogFile {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = open_to_append(&self.path)?;
        Ok(())
    }
}
