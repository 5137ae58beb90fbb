//! Sockets that this process was started with, by systemd's protocol (`sd_listen_fds(3)`): from the
//! service manager, or from the server that it is to replace.

use std::{
    env,
    fmt::Display,
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use corelane::Error;
use listenfd::ListenFd;

/// The name of a server's own sockets among those that it hands over.
pub(crate) const SERVING: &str = "corelane-serving";

/// The name of those that it was given by the service manager, which holds them whoever serves:
/// clients of one that is not served would wait in vain.
pub(crate) const GIVEN: &str = "corelane-given";

/// The name of the socket on which the server that is replaced waits to hear how it went.
pub(super) const REPORT: &str = "corelane-report";

/// What separates, in a report, that it failed from why.
pub(super) const FAILED: &str = "failed ";
pub(super) const READY: &str = "ready";

#[derive(Default)]
pub(crate) struct Inherited {
    listeners: Vec<(String, TcpListener)>,
    /// To the server that is replaced.
    report: Option<UnixStream>,
    /// Why one of them cannot be served on.
    unusable: Option<Error>,
}

impl Inherited {
    /// To be called before any thread starts: it takes the variables out of the environment, so that
    /// no program started later takes them for its own.
    pub(crate) fn take() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default();
            if let Err(error) = inherited.take_one(&mut given, index, name) {
                inherited.unusable = Some(Error::config(format!(
                    "the inherited socket {index} ({name:?}) cannot be served on: {error}; sockets \
                     have to be of TCP and to listen (in systemd ListenStream= with an address, \
                     Accept=no)"
                )));
            }
        }
        inherited
    }

    fn take_one(&mut self, given: &mut ListenFd, index: usize, name: &str) -> io::Result<()> {
        if name == REPORT {
            // Looks at family and type only, which are those of a connected one too.
            let socket = given.take_unix_listener(index)?;
            self.report = socket.map(|socket| OwnedFd::from(socket).into());
        } else if let Some(listener) = given.take_tcp_listener(index)? {
            self.listeners.push((name.to_owned(), listener));
        }
        Ok(())
    }

    /// Whether it is another server that this process replaces.
    pub(crate) fn replaces_server(&self) -> bool {
        self.report.is_some()
    }

    /// Takes those of a name.
    pub(crate) fn named(&mut self, wanted: &str) -> Vec<TcpListener> {
        let (taken, rest) = std::mem::take(&mut self.listeners)
            .into_iter()
            .partition(|(name, _)| name == wanted);
        self.listeners = rest;
        only_listeners(taken)
    }

    /// Takes those of the service manager, whatever it calls them, be it that the server which is
    /// replaced was given them.
    pub(crate) fn given(&mut self) -> Result<Vec<TcpListener>, Error> {
        match (self.unusable.take(), self.replaces_server()) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(self.named(GIVEN)),
            (None, false) => Ok(only_listeners(std::mem::take(&mut self.listeners))),
        }
    }

    /// Tells the server that is replaced, if there is one, that this one serves. It goes by it when
    /// the report ends: [`end_report`](Self::end_report).
    ///
    /// An error where nobody hears it: that one was ended, or has given up, and means this one too.
    pub(crate) fn ready(&mut self) -> Result<(), Error> {
        let Some(server) = &mut self.report else {
            return Ok(());
        };
        server.write_all(READY.as_bytes()).map_err(|error| {
            self.report = None;
            Error::config(format!(
                "the server that was to be replaced has ended, or has given the upgrade up: {error}"
            ))
        })
    }

    pub(crate) fn end_report(&mut self) {
        self.report = None;
    }

    /// Tells it that it has to go on, and why.
    pub(crate) fn failed(&mut self, why: impl Display) {
        let Some(mut server) = self.report.take() else {
            return;
        };
        if let Err(error) = server.write_all(format!("{FAILED}{why}").as_bytes()) {
            tracing::warn!(%error, "the server that was to be replaced cannot be told");
        }
    }
}

fn only_listeners(named: Vec<(String, TcpListener)>) -> Vec<TcpListener> {
    named.into_iter().map(|(_, listener)| listener).collect()
}

/// Takes those that listen on `addr`; if it names no port, on the one of the first that has its IP.
pub(crate) fn at(listeners: &mut Vec<TcpListener>, addr: SocketAddr) -> Vec<TcpListener> {
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
