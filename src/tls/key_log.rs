//! Writes the secrets of connections to the file of `SSLKEYLOGFILE`, for every backend: programs that
//! record traffic, such as Wireshark, decrypt it with them.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Once, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::Error;

const VARIABLE: &str = "SSLKEYLOGFILE";

/// The file of [`TlsConfig::key_log`](super::TlsConfig::key_log). For implementors of
/// [`TlsAcceptor`](super::TlsAcceptor).
///
/// Its lines have the format of NSS, `LABEL CLIENT_RANDOM SECRET`. Several threads and processes may
/// append to it: each line is one system call.
#[derive(Debug)]
pub struct KeyLog {
    file: File,
    path: PathBuf,
    /// The file ends within a line, because it took a part of one only.
    torn: AtomicBool,
    /// A failure was reported.
    reported: AtomicBool,
}

impl KeyLog {
    /// Opens the file of the environment variable `SSLKEYLOGFILE`, and creates it for its owner only
    /// (mode 0600). `None` without the variable. Both are warned of. Call it when an acceptor is built:
    /// acceptors share the file while they exist.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the file cannot be opened or is not a regular one.
    pub fn open() -> Result<Option<Arc<Self>>, Error> {
        static OPEN: Mutex<Weak<KeyLog>> = Mutex::new(Weak::new());
        let Some(path) = path() else {
            static WARNED: Once = Once::new();
            WARNED.call_once(|| warn(None));
            return Ok(None);
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = open.upgrade().filter(|log| log.is_at(&path)) {
            return Ok(Some(log));
        }
        let log = Arc::new(Self::create(path)?);
        warn(Some(&log.path));
        *open = Arc::downgrade(&log);
        Ok(Some(log))
    }

    fn create(path: PathBuf) -> Result<Self, Error> {
        is_file_or_new(&path)?;
        let file = options()
            .open(&path)
            .map_err(|error| cannot_open(&path).with_source(error))?;
        Ok(Self {
            file,
            path,
            torn: AtomicBool::new(false),
            reported: AtomicBool::new(false),
        })
    }

    /// Appends a line, which is given without a line break. One that cannot be written is lost; the first
    /// of them is reported.
    pub fn write_line(&self, line: &str) {
        let begin = match self.torn.load(Ordering::Relaxed) {
            true => "\n",
            false => "",
        };
        let line = format!("{begin}{line}\n");
        let error = match (&self.file).write(line.as_bytes()) {
            // The disk is full. Another process may have appended to the rest meanwhile.
            Ok(n) if n < line.len() => {
                self.torn.store(true, Ordering::Relaxed);
                ErrorKind::StorageFull.into()
            }
            Ok(_) => return self.torn.store(false, Ordering::Relaxed),
            Err(error) => error,
        };
        self.report(&error);
    }

    fn report(&self, error: &io::Error) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            let file = self.path.display();
            tracing::warn!(
                %file, %error,
                "cannot write the key log: some secrets are missing in it; not reported again"
            );
        }
    }

    /// Whether the file is still the one of this path: it may have been renamed or removed.
    fn is_at(&self, path: &Path) -> bool {
        cfg_if::cfg_if! {
            if #[cfg(unix)] {
                use std::os::unix::fs::MetadataExt;

                let identity = |metadata: io::Result<fs::Metadata>| {
                    metadata.ok().map(|it| (it.dev(), it.ino()))
                };
                identity(self.file.metadata()) == identity(fs::metadata(path))
            } else {
                self.path == path
            }
        }
    }
}

/// Warns as an acceptor with [`TlsConfig::key_log`](super::TlsConfig::key_log) does, and calls `check` with
/// the file, which it does not create: for `corelane check`.
///
/// # Errors
///
/// [`Error::is_config`] if there is something else in place of the file, for example a directory, or
/// `check` fails.
#[doc(hidden)]
pub fn check_key_log(check: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Error> {
    let path = path();
    if let Some(path) = &path {
        is_file_or_new(path)?;
        check(path).map_err(|error| cannot_open(path).with_source(error))?;
    }
    warn(path.as_deref());
    Ok(())
}

fn path() -> Option<PathBuf> {
    let path = env::var_os(VARIABLE).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

fn warn(path: Option<&Path>) {
    match path {
        Some(file) => tracing::warn!(
            file = %file.display(),
            "the key log is on: all traffic can be decrypted with the secrets in this file \
             ({VARIABLE})"
        ),
        None => tracing::warn!(
            "the key log is on, but the environment variable {VARIABLE} names no file: nothing is \
             written"
        ),
    }
}

/// A FIFO or a device could make a connection wait.
fn is_file_or_new(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let error = io::Error::new(ErrorKind::InvalidInput, "is not a regular file");
            Err(cannot_open(path).with_source(error))
        }
        _ => Ok(()),
    }
}

fn cannot_open(path: &Path) -> Error {
    Error::config(format!(
        "cannot open the key log {} ({VARIABLE})",
        path.display()
    ))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    cfg_if::cfg_if! {
        if #[cfg(target_os = "linux")] {
            use std::os::unix::fs::OpenOptionsExt;

            use nix::fcntl::OFlag;

            // Another process may put a FIFO in its place after the check.
            let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            options.mode(0o600).custom_flags(flags.bits());
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_behind_a_part_of_one_begins_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys");
        fs::write(&path, "A 01").expect("written");
        let log = KeyLog::create(path.clone()).expect("opened");
        log.torn.store(true, Ordering::Relaxed);
        log.write_line("B 02 03");
        log.write_line("C 04 05");
        let text = fs::read_to_string(path).expect("text");
        assert_eq!(text, "A 01\nB 02 03\nC 04 05\n");
    }
}
