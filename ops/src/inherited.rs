//! Sockets that this process inherits by systemd's protocol (`sd_listen_fds(3)`): from the service
//! manager, or from the server process that it replaces.

use std::{
    collections::HashSet,
    env,
    fmt::{self, Display},
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use corelane::Builder;
use listenfd::ListenFd;

use crate::{
    Error, ListenAddr,
    protocol::{DRAINING, FAILED, GIVEN, READY, REPORT, SERVING},
};

/// The sockets that this process inherits, and the report to the server process that it replaces.
///
/// [`Inherited::take`] has to be the first call of `main`. [`Lifecycle`](crate::Lifecycle) uses the
/// value; a program that only needs systemd's sockets can use it alone.
#[derive(Default)]
pub struct Inherited {
    listeners: Vec<(String, TcpListener)>,
    unix_listeners: Vec<(String, UnixListener)>,
    /// The addresses of the service manager's sockets, once [`listen`](Self::listen) has taken
    /// them.
    given: Vec<ListenAddr>,
    /// Reports to the server that is replaced.
    report: Option<UnixStream>,
    /// Reports of servers that drain.
    draining: Vec<UnixStream>,
    /// Why one of the sockets cannot be served on.
    unusable: Option<String>,
}

impl Inherited {
    /// Takes the sockets and removes their variables (`LISTEN_FDS` and others) from the environment,
    /// so that child processes do not use them.
    ///
    /// Call it before any thread starts: it changes the environment.
    pub fn take() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..sockets.len() {
            let name = names.next().unwrap_or_default();
            if let Err(error) = inherited.take_one(&mut sockets, index, name) {
                inherited.unusable = Some(format!(
                    "cannot serve on the inherited socket {index} ({name:?}): {error}; it has to be \
                     a listening TCP or Unix socket (in systemd ListenStream=, Accept=no)"
                ));
            }
        }
        inherited
    }

    fn take_one(&mut self, sockets: &mut ListenFd, index: usize, name: &str) -> io::Result<()> {
        if [REPORT, DRAINING].contains(&name) {
            // Checks family and type only, which a connected socket has too.
            let socket = sockets.take_unix_listener(index)?;
            let socket = socket.map(|socket| UnixStream::from(OwnedFd::from(socket)));
            match name {
                REPORT => self.report = socket,
                _ => self.draining.extend(socket),
            }
            return Ok(());
        }
        match sockets.take_tcp_listener(index) {
            Ok(listener) => self
                .listeners
                .extend(listener.map(|it| (name.to_owned(), it))),
            Err(error) => {
                let listener = sockets.take_unix_listener(index).map_err(|_| error)?;
                let listener = listener.map(|it| (name.to_owned(), it));
                self.unix_listeners.extend(listener);
            }
        }
        Ok(())
    }

    /// Whether this process replaces a running server, which started it for an upgrade.
    pub fn replaces_server(&self) -> bool {
        self.report.is_some()
    }

    /// Whether there is no listening socket left to take.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.unix_listeners.is_empty()
    }

    /// Takes the TCP sockets of this name (systemd's `FileDescriptorName=`).
    pub fn take_named(&mut self, name: &str) -> Vec<TcpListener> {
        let (taken, rest) = std::mem::take(&mut self.listeners)
            .into_iter()
            .partition(|(found, _)| found == name);
        self.listeners = rest;
        without_names(taken)
    }

    /// Makes the server listen on `addrs`, on inherited sockets where they fit.
    ///
    /// The server uses all sockets of the service manager, also those that `addrs` does not name:
    /// otherwise their clients would get no answer. It uses a socket of the server that it replaces only
    /// if `addrs` still names its address, or all addresses of its port, or if `addrs` is empty. If there
    /// are fewer of these sockets than workers, the other workers get new ones. Port 0 means any port of
    /// that IP address. For the remaining addresses [`Builder::bind`] opens sockets.
    ///
    /// # Errors
    ///
    /// When an inherited socket is neither a listening TCP socket nor a Unix socket.
    pub fn listen(
        &mut self,
        mut builder: Builder,
        addrs_to_listen_on: impl IntoIterator<Item = impl Into<ListenAddr>>,
    ) -> Result<Builder, Error> {
        let mut given = self.take_given()?;
        let local_addrs = given.iter().filter_map(|it| it.local_addr().ok());
        self.given = local_addrs.map(ListenAddr::Tcp).collect();
        let mut others = self.take_named(SERVING);
        let (mut addrs, mut paths) = (Vec::new(), Vec::new());
        for addr in addrs_to_listen_on {
            match addr.into() {
                ListenAddr::Tcp(addr) => addrs.push(addr),
                ListenAddr::Unix(path) => paths.push(path),
            }
        }
        let all = addrs.is_empty() && paths.is_empty();
        builder = self.listen_unix(builder, paths, all);
        // An address without a port must not take the socket of an address with one.
        addrs.sort_by_key(|addr| addr.port() == 0);
        let mut serve_on = Vec::new();
        for addr in addrs {
            let mut found = take_at(&mut given, addr);
            if found.is_empty() {
                found = take_at(&mut others, addr);
                // Opens sockets for workers that there are not enough for.
                let on = found.first().and_then(|it| it.local_addr().ok());
                builder = builder.listen(on.unwrap_or(addr));
                if found.is_empty() {
                    // Connections that wait in these sockets are served on.
                    found = others.extract_if(.., |it| covers(addr, it)).collect();
                    let overlaps = |it: &TcpListener| overlap(it, addr);
                    if !found.is_empty() || others.iter().any(overlaps) {
                        builder = builder.share_port(true);
                    }
                }
            }
            serve_on.append(&mut found);
        }
        serve_on.append(&mut given);
        if all {
            let addrs = others.iter().filter_map(|it| it.local_addr().ok());
            let addrs: HashSet<_> = addrs.collect();
            builder = addrs.into_iter().fold(builder, Builder::listen);
            serve_on.append(&mut others);
        }
        for socket in others {
            tracing::info!(
                ?socket,
                "closing an inherited socket: its address is not configured"
            );
        }
        Ok(serve_on.into_iter().fold(builder, Builder::listener))
    }

    /// As [`listen`](Self::listen) does for TCP.
    fn listen_unix(&mut self, mut builder: Builder, paths: Vec<PathBuf>, all: bool) -> Builder {
        let from_server = self.replaces_server();
        for (name, socket) in std::mem::take(&mut self.unix_listeners) {
            let path = unix_path(&socket);
            if !from_server || name == GIVEN {
                self.given.extend(path.map(ListenAddr::Unix));
                builder = builder.unix_listener(socket);
                continue;
            }
            match path.filter(|path| all || paths.contains(path)) {
                Some(path) => builder = builder.listen_unix(path).unix_listener(socket),
                None => tracing::info!(
                    ?socket,
                    "closing an inherited socket: its address is not configured"
                ),
            }
        }
        // The service manager removes the files of its sockets itself.
        let is_given = |path: &PathBuf| self.given.contains(&ListenAddr::Unix(path.clone()));
        let paths = paths.into_iter().filter(|path| !is_given(path));
        paths.fold(builder, Builder::listen_unix)
    }

    /// Reports to the server process that this one replaces, if there is one, why this one does not
    /// serve: the old one then goes on. [`Lifecycle::start`](crate::Lifecycle::start) reports its
    /// errors.
    pub fn report_failure(&mut self, reason: impl Display) {
        let Some(mut server) = self.report.take() else {
            return;
        };
        if let Err(error) = server.write_all(format!("{FAILED}{reason}").as_bytes()) {
            tracing::warn!(%error, "cannot report the failure to the server that was to be replaced");
        }
    }

    pub(crate) fn take_draining(&mut self) -> Vec<UnixStream> {
        std::mem::take(&mut self.draining)
    }

    /// The addresses of the service manager's sockets.
    pub(crate) fn given_addrs(&self) -> &[ListenAddr] {
        &self.given
    }

    /// Reports that this process serves. The old process acts on it when the report ends
    /// ([`end_report`](Self::end_report)), or when its time for the upgrade is over. From here on this
    /// process has to serve.
    ///
    /// An error where the old process has ended or has given up: then this one must not serve.
    pub(crate) fn report_ready(&mut self) -> Result<(), Error> {
        let Some(server) = &mut self.report else {
            return Ok(());
        };
        server.write_all(READY.as_bytes()).map_err(|error| {
            self.report = None;
            let message =
                "the server that was to be replaced has ended or has cancelled the upgrade";
            Error::with_source(message, error)
        })
    }

    pub(crate) fn end_report(&mut self) {
        self.report = None;
    }

    /// Takes the service manager's sockets, directly or through the server that this one replaces.
    fn take_given(&mut self) -> Result<Vec<TcpListener>, Error> {
        match (self.unusable.take(), self.replaces_server()) {
            (Some(reason), _) => Err(Error::new(reason)),
            (None, true) => Ok(self.take_named(GIVEN)),
            (None, false) => Ok(without_names(std::mem::take(&mut self.listeners))),
        }
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited")
            .field("listeners", &self.listeners)
            .field("unix_listeners", &self.unix_listeners)
            .field("replaces_server", &self.replaces_server())
            .finish_non_exhaustive()
    }
}

/// The path of a Unix socket that has one.
pub(crate) fn unix_path(socket: &UnixListener) -> Option<PathBuf> {
    Some(socket.local_addr().ok()?.as_pathname()?.to_path_buf())
}

fn without_names(named: Vec<(String, TcpListener)>) -> Vec<TcpListener> {
    named.into_iter().map(|(_, listener)| listener).collect()
}

/// Takes the sockets that listen on `addr`. Without a port: those on the port of the first one with
/// that IP address.
fn take_at(listeners: &mut Vec<TcpListener>, addr: SocketAddr) -> Vec<TcpListener> {
    let mut locals = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok());
    let fits = |local: &SocketAddr| {
        local.ip() == addr.ip() && (addr.port() == 0 || local.port() == addr.port())
    };
    let Some(found) = locals.find(fits) else {
        return Vec::new();
    };
    let listens_there =
        |listener: &mut TcpListener| listener.local_addr().is_ok_and(|local| local == found);
    listeners.extract_if(.., listens_there).collect()
}

/// Whether `addr` stands for all addresses of the listener's port.
fn covers(addr: SocketAddr, listener: &TcpListener) -> bool {
    addr.ip().is_unspecified() && overlap(listener, addr)
}

/// Whether the kernel takes both for one port.
fn overlap(listener: &TcpListener, addr: SocketAddr) -> bool {
    listener.local_addr().is_ok_and(|local| {
        local.port() == addr.port()
            && local.is_ipv4() == addr.is_ipv4()
            && (local.ip().is_unspecified() || addr.ip().is_unspecified())
    })
}
