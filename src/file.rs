//! Reads files that a user has named. Their names can stand for something else: a directory, a device,
//! or a FIFO that nothing writes to.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, ErrorKind, Read},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The largest file, bytes: 64 MiB. The largest revocation lists of public authorities are a few ten
/// MiB; a device such as `/dev/zero` has no end.
const MAX_SIZE: u64 = 64 << 20;

/// How long to wait for a process that opens a FIFO to write.
const WRITER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the writer of a FIFO may take: 5 s, enough to fetch a key from a secret store.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look whether there is more to read.
const INTERVAL: Duration = Duration::from_millis(10);

/// Reads a file, as [`std::fs::read`] does, but in bounded time and space, whatever the name stands
/// for.
///
/// A FIFO is read until its writer closes it, so that shells can pass the output of a command
/// (`--key <(command)`). Its writer may take 5 s. Character devices are read in the same way.
///
/// # Errors
///
/// When the file cannot be read, is larger than 64 MiB, or is a directory, a socket or a block device.
/// When nothing writes to a FIFO.
pub fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read(path.as_ref(), WRITER_TIMEOUT, READ_TIMEOUT)
}

fn read(path: &Path, writer_timeout: Duration, read_timeout: Duration) -> io::Result<Vec<u8>> {
    check(fs::metadata(path)?.file_type())?;
    let mut file = open(path)?;
    let kind = file.metadata()?.file_type();
    // It may have been replaced in between.
    check(kind)?;
    let started = Instant::now();
    let mut contents = Vec::new();
    loop {
        let left = (MAX_SIZE + 1).saturating_sub(contents.len() as u64);
        let read = (&mut file).take(left).read_to_end(&mut contents);
        if contents.len() as u64 > MAX_SIZE {
            let message = format!("is larger than {} MiB", MAX_SIZE >> 20);
            return Err(io::Error::new(ErrorKind::FileTooLarge, message));
        }
        let (why, timeout) = match read {
            // Without a writer a FIFO seems to end, and one may be about to open it.
            Ok(_) if contents.is_empty() && is_fifo(kind) => {
                ("is a FIFO that nothing writes to", writer_timeout)
            }
            Ok(_) => return Ok(contents),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                ("has a writer that does not close it", read_timeout)
            }
            Err(error) => return Err(error),
        };
        if started.elapsed() > timeout {
            let message = format!("{why}, expected a regular file");
            return Err(io::Error::new(ErrorKind::TimedOut, message));
        }
        thread::sleep(INTERVAL);
    }
}

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

        use nix::fcntl::OFlag;

        /// Opening a FIFO would wait for its writer.
        fn open(path: &Path) -> io::Result<File> {
            let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
        }

        fn check(kind: FileType) -> io::Result<()> {
            let what = if kind.is_dir() {
                "directory"
            } else if kind.is_socket() {
                "socket"
            } else if kind.is_block_device() {
                "block device"
            } else {
                return Ok(());
            };
            let message = format!("is a {what}, expected a regular file");
            Err(io::Error::new(ErrorKind::InvalidInput, message))
        }

        fn is_fifo(kind: FileType) -> bool {
            kind.is_fifo()
        }
    } else {
        fn open(path: &Path) -> io::Result<File> {
            OpenOptions::new().read(true).open(path)
        }

        fn check(kind: FileType) -> io::Result<()> {
            match kind.is_file() {
                true => Ok(()),
                false => Err(io::Error::new(ErrorKind::InvalidInput, "is not a regular file")),
            }
        }

        fn is_fifo(_kind: FileType) -> bool {
            false
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn refusal(path: &Path) -> String {
        let no_time = Duration::ZERO;
        let read = read(path, no_time, no_time);
        read.expect_err("refused").to_string()
    }

    #[test]
    fn what_is_not_a_file_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(
            refusal(dir.path()),
            "is a directory, expected a regular file"
        );
        let socket = dir.path().join("socket");
        let _socket = UnixListener::bind(&socket).expect("a socket");
        assert_eq!(refusal(&socket), "is a socket, expected a regular file");
        let too_large = dir.path().join("large");
        let file = File::create(&too_large).expect("a file");
        file.set_len(MAX_SIZE + 1).expect("sparse");
        assert_eq!(refusal(&too_large), "is larger than 64 MiB");
        file.set_len(1000).expect("sparse");
        assert_eq!(read_file(&too_large).expect("read"), [0; 1000]);
        assert_eq!(refusal(Path::new("/dev/zero")), "is larger than 64 MiB");
        assert_eq!(read_file("/dev/null").expect("read"), b"");
    }

    #[test]
    fn a_fifo_is_read_if_something_writes_to_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        assert_eq!(
            refusal(&fifo),
            "is a FIFO that nothing writes to, expected a regular file"
        );
        let text = "text".repeat(100_000);
        thread::scope(|scope| {
            // Waits for the reader.
            scope.spawn(|| fs::write(&fifo, &text).expect("written"));
            assert!(read_file(&fifo).expect("read") == text.as_bytes());
        });
        // A writer that neither writes nor closes.
        let _writer = OpenOptions::new().read(true).write(true).open(&fifo);
        assert_eq!(
            refusal(&fifo),
            "has a writer that does not close it, expected a regular file"
        );
    }
}
