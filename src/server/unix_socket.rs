//! Listening Unix sockets and their files.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::listens::listens;
use crate::error::{Error, Kind};

/// A listening Unix socket. All workers accept from it: Unix sockets have no SO_REUSEPORT.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    /// `None`: the file belongs to the one who opened the socket, or there is none.
    file: Option<SocketFile>,
}

/// The file of a socket, removed with the socket.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file that has taken its place belongs to another server.
    id: (u64, u64),
    remove: AtomicBool,
}

/// Whether a socket can have this path, which the kernel limits to 107 bytes.
pub(super) fn check_path(path: &Path) -> Result<(), Error> {
    let absolute = std::path::absolute(path);
    let addr = absolute.and_then(SockAddr::unix);
    addr.map(drop).map_err(|error| {
        let what = format!("a Unix socket cannot have the path {}", path.display());
        Error::config(&what).with_source(error)
    })
}

/// Opens sockets at `paths`, where none of the `given` ones listens.
pub(super) fn open(
    given: Vec<UnixListener>,
    paths: Vec<PathBuf>,
    mode: u32,
    backlog: u32,
) -> Result<Vec<UnixSocket>, Error> {
    // The file has to be found at the end, wherever the process is then.
    let absolute =
        |path: PathBuf| std::path::absolute(&path).map_err(|error| explain(&path, error));
    let mut paths: BTreeSet<_> = paths.into_iter().map(absolute).collect::<Result<_, _>>()?;
    let mut sockets = Vec::new();
    for listener in given {
        let named = path_of(&listener).is_some_and(|path| paths.remove(&path));
        sockets.push(UnixSocket::given(listener, named)?);
    }
    for path in paths {
        sockets.push(UnixSocket::bind(&path, mode, backlog)?);
    }
    Ok(sockets)
}

impl UnixSocket {
    /// Opens a socket at `path`. Replaces the file of a socket on which nobody listens, which a server
    /// that was killed leaves behind.
    fn bind(path: &Path, mode: u32, backlog: u32) -> Result<Self, Error> {
        let explain = |error| explain(path, error);
        let addr = SockAddr::unix(path).map_err(explain)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(explain)?;
        if let Err(error) = socket.bind(&addr) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(explain(error));
            }
            check_stale(path, &addr)?;
            fs::remove_file(path).map_err(explain)?;
            socket.bind(&addr).map_err(explain)?;
        }
        let file = SocketFile::at(path.to_path_buf(), true).map_err(explain)?;
        // Before anybody can connect.
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(explain)?;
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        socket.listen(backlog).map_err(explain)?;
        Ok(Self {
            listener: OwnedFd::from(socket).into(),
            file: Some(file),
        })
    }

    /// A socket that listens already. With `own_file`, its file is removed at the end if the server
    /// starts.
    fn given(listener: UnixListener, own_file: bool) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::new(Kind::Bind, "a given Unix listener cannot be used").with_source(error)
        };
        if !listens(&listener) {
            return Err(Error::new(
                Kind::Bind,
                format!("a given Unix listener cannot be used: {listener:?} does not listen"),
            ));
        }
        let path = path_of(&listener).filter(|_| own_file);
        let file = path.map(|path| SocketFile::at(path, false)).transpose();
        Ok(Self {
            listener,
            file: file.map_err(failed)?,
        })
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        path_of(&self.listener)
    }

    /// The server has started: the file of the socket is its own.
    pub(super) fn own_file(&self) {
        if let Some(file) = &self.file {
            file.remove.store(true, Ordering::Relaxed);
        }
    }

    /// Another server accepts from the socket.
    pub(super) fn leave_file(&self) {
        if let Some(file) = &self.file {
            file.remove.store(false, Ordering::Relaxed);
        }
    }
}

/// The path of a socket that has one.
fn path_of(listener: &UnixListener) -> Option<PathBuf> {
    let addr = listener.local_addr().ok()?;
    addr.as_pathname().map(Path::to_path_buf)
}

impl SocketFile {
    fn at(path: PathBuf, remove: bool) -> io::Result<Self> {
        let id = id(&path)?;
        let remove = AtomicBool::new(remove);
        Ok(Self { path, id, remove })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if *self.remove.get_mut()
            && id(&self.path).is_ok_and(|id| id == self.id)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the file of a socket");
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// An error unless the file is a socket on which nobody listens.
fn check_stale(path: &Path, addr: &SockAddr) -> Result<(), Error> {
    let in_use = |why: &str| {
        let message = format!("cannot listen on {}: {why}", path.display());
        Error::new(Kind::Bind, message).with_source(io::Error::from(io::ErrorKind::AddrInUse))
    };
    let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    if !is_socket {
        return Err(in_use("the file exists and is no socket"));
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|client| {
        // With a full backlog a blocking connect would wait.
        client.set_nonblocking(true)?;
        client.connect(addr)
    });
    match client {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(in_use(
            "the file of another user exists, and whether a server listens there cannot be found out",
        )),
        _ => Err(in_use("a server listens there")),
    }
}

fn explain(path: &Path, error: io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::NotFound => ": its directory does not exist",
        io::ErrorKind::PermissionDenied => ": this user may not write to its directory",
        io::ErrorKind::InvalidInput => ": the path of a socket has at most 107 bytes",
        _ => "",
    };
    Error::new(
        Kind::Bind,
        format!("cannot listen on {}{why}", path.display()),
    )
    .with_source(error)
}
