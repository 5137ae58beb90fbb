//! The options of a server on Unix sockets.

use std::{os::unix::net::UnixListener, path::PathBuf};

use super::builder::Builder;

impl Builder {
    /// Adds a Unix socket to listen on, for a proxy on the same host. The server speaks what it speaks
    /// on TCP: TLS, or HTTP/2 with prior knowledge with [`tls::Cleartext`](crate::tls::Cleartext).
    ///
    /// [`bind`](Self::bind) creates the file with the mode of [`unix_mode`](Self::unix_mode), in a
    /// directory that has to exist. It replaces the socket of a server that was killed, and returns an
    /// error if a server listens there or the file is no socket. The server removes the file when it
    /// stops accepting, but not when another server takes the socket over
    /// ([`Handle::hand_over`](crate::Handle::hand_over)).
    ///
    /// Unix sockets have no SO_REUSEPORT: all workers accept from one socket, and the worker that wakes
    /// up first gets the connection. An idle worker is faster than a busy one, but nothing makes the
    /// shares even: of 200 connections to two workers, one may get twice as many as the other on
    /// io_uring, and ten times as many on epoll.
    ///
    /// ```
    /// use corelane::{Server, tls::Cleartext};
    ///
    /// # fn main() -> Result<(), corelane::Error> {
    /// # let directory = std::env::temp_dir().join(format!("corelane-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("http.sock");
    /// let server = Server::builder(Cleartext).listen_unix(&path).bind()?;
    /// assert_eq!(server.unix_paths(), [path]);
    /// # drop(server);
    /// # std::fs::remove_dir(directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_paths.push(path.into());
        self
    }

    /// Adds a Unix socket that listens already: one that the caller opened, that the service manager
    /// passed, or that another server shares
    /// ([`Handle::unix_listeners`](crate::Handle::unix_listeners)).
    ///
    /// The server does not remove its file, unless [`listen_unix`](Self::listen_unix) names its path
    /// too.
    pub fn unix_listener(mut self, listener: UnixListener) -> Self {
        self.unix_listeners.push(listener);
        self
    }

    /// Sets the mode of the files of [`listen_unix`](Self::listen_unix), 0o777 at most: clients need
    /// the permission to write. Default [`UNIX_MODE`](crate::config::UNIX_MODE), the user and the group
    /// of the server.
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = mode;
        self
    }

    /// Sets whether connections on Unix sockets begin with a header of the PROXY protocol, as
    /// [`proxy_protocol`](Self::proxy_protocol) sets it for networks. Default false:
    /// [`ConnectionInfo::peer_addr`](crate::ConnectionInfo#structfield.peer_addr) is then `None`.
    pub fn unix_proxy_protocol(mut self, expected: bool) -> Self {
        self.connection_options.unix_proxy_protocol = expected;
        self
    }
}
