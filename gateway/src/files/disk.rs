//! The file system as [`ServeDir`](tower_http::services::ServeDir) sees it: calls that block, on the
//! worker's thread.

use std::{
    fs::{self, OpenOptions},
    future::{Ready, ready},
    io::{self, ErrorKind, SeekFrom},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use nix::fcntl::OFlag;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File, Metadata};

/// Opens and reads files by calls that block, for one request.
///
/// A thread for each call, as tokio::fs has it, takes longer than the call itself while the kernel has
/// the file in its page cache.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    /// A file whose metadata was asked for. `ServeDir` opens it next.
    opened: Option<Arc<Mutex<Option<OpenFile>>>>,
}

impl Disk {
    /// Without `open`, only metadata is needed.
    pub(super) fn new(open: bool) -> Self {
        let opened = open.then(Arc::default);
        Self { opened }
    }
}

impl Backend for Disk {
    type File = OpenFile;
    type Metadata = FileInfo;
    type OpenFuture = Ready<io::Result<OpenFile>>;
    type MetadataFuture = Ready<io::Result<FileInfo>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let opened = self.opened.as_ref().and_then(|opened| {
            let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.take_if(|file| file.path == path)
        });
        ready(match opened {
            Some(file) => Ok(file),
            None => OpenFile::open(path),
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let Some(opened) = &self.opened else {
            return ready(fs::metadata(path).and_then(FileInfo::new));
        };
        // One walk along the path for both. Folders and what may not be read have metadata only.
        ready(match OpenFile::open(path.clone()) {
            Ok(file) => {
                let info = file.info;
                *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
                Ok(info)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
            Err(_) => fs::metadata(path).and_then(FileInfo::new),
        })
    }
}

/// A regular file, and how much of it has been read.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: fs::File,
    path: PathBuf,
    info: FileInfo,
    position: u64,
}

impl OpenFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        // Otherwise this would wait for the writer of a FIFO.
        let flags = OFlag::O_NONBLOCK.bits();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path)?;
        let info = FileInfo::new(file.metadata()?)?;
        match info.is_dir {
            true => Err(ErrorKind::IsADirectory.into()),
            false => Ok(Self {
                file,
                path,
                info,
                position: 0,
            }),
        }
    }
}

impl File for OpenFile {
    type Metadata = FileInfo;
    type MetadataFuture<'a> = Ready<io::Result<FileInfo>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.info))
    }
}

/// Reads as many bytes as the file had when it was opened. If it has fewer by now, that is an error.
impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.info.len.saturating_sub(self.position);
        let wanted =
            usize::try_from(left).map_or(buf.remaining(), |left| left.min(buf.remaining()));
        if wanted == 0 {
            return Poll::Ready(Ok(()));
        }
        let piece = buf.initialize_unfilled_to(wanted);
        let read = loop {
            match self.file.read_at(piece, self.position) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            let path = self.path.display();
            let message = format!("{path} was truncated while it was sent");
            return Poll::Ready(Err(io::Error::other(message)));
        }
        buf.advance(read);
        self.position += read as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.info.len.checked_add_signed(by),
        };
        self.position = position.ok_or(ErrorKind::InvalidInput)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

/// A regular file or a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileInfo {
    is_dir: bool,
    len: u64,
    /// `None`: `last-modified` cannot express it.
    modified: Option<SystemTime>,
}

/// Seconds from 1970 to the year 10000, which an HTTP date cannot express.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

impl FileInfo {
    /// An error for what is neither a file nor a folder: FIFO, socket, device.
    fn new(metadata: fs::Metadata) -> io::Result<Self> {
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(ErrorKind::NotFound.into());
        }
        let modified = metadata.modified().ok();
        let can_be_told = |time: &SystemTime| {
            let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
            since_1970.is_ok_and(|since| since < YEAR_10000)
        };
        Ok(Self {
            is_dir: metadata.is_dir(),
            len: metadata.len(),
            modified: modified.filter(can_be_told),
        })
    }
}

impl Metadata for FileInfo {
    fn is_dir(&self) -> bool {
        self.is_dir
    }

    fn modified(&self) -> io::Result<SystemTime> {
        self.modified.ok_or_else(|| ErrorKind::Unsupported.into())
    }

    fn len(&self) -> u64 {
        self.len
    }
}
