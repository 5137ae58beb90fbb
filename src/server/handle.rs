//! The caller's hold on a running server.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Weak, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    current_acceptor::Reloader,
    observer::{Observer, WorkerStatus},
    worker::Stop,
};
use crate::{
    error::{Error, Kind, panic_message},
    tls::TlsAcceptor,
};

/// A running server. Dropping it leaves the server running.
pub struct Handle {
    local_addrs: Vec<SocketAddr>,
    reloader: Reloader,
    /// The workers', several times where several share one. They are the workers' to close.
    listeners: Vec<Weak<TcpListener>>,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    observer: Observer,
}

impl Handle {
    pub(super) fn new(
        local_addrs: Vec<SocketAddr>,
        reloader: Reloader,
        listeners: Vec<Weak<TcpListener>>,
        stop: Stop,
        threads: Vec<JoinHandle<()>>,
        observer: Observer,
    ) -> Self {
        Self {
            local_addrs,
            reloader,
            listeners,
            stop,
            threads,
            observer,
        }
    }

    /// The addresses listened on.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// The sockets it listens on, each once, as further handles to them: for another server, or for
    /// another process, to accept from ([`Builder::listener`](crate::Builder::listener) there).
    /// Connections wait in the kernel, and none is lost, for as long as anybody has the socket.
    /// Those that are closed already, as after [`shutdown`](Self::shutdown), are not among them.
    /// An error where there are too many open files.
    pub fn listeners(&self) -> Result<Vec<TcpListener>, Error> {
        let mut open: Vec<Arc<TcpListener>> = Vec::new();
        for listener in self.listeners.iter().filter_map(Weak::upgrade) {
            if !open.iter().any(|known| Arc::ptr_eq(known, &listener)) {
                open.push(listener);
            }
        }
        let clones = open.iter().map(|listener| listener.try_clone());
        clones.collect::<Result<_, _>>().map_err(|error| {
            Error::new(Kind::Bind, "a listener has no room for another handle").with(error)
        })
    }

    /// What each worker has done so far.
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.observer.workers().collect()
    }

    /// A look at the server for others than who holds it: for a metrics endpoint, or a handler.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Gives every handshake that begins from now on this acceptor, with other certificates, say.
    /// Open connections go on as they are, handshakes under way end with the acceptor that they
    /// began with, and that is dropped when the last of them has.
    ///
    /// An error, and the server goes on with the acceptor that it has, where
    /// [`Builder::bind`](crate::Builder::bind) would refuse this one, and where it speaks TLS and
    /// the server does not, or the other way around. The backend may be another.
    ///
    /// Sessions resume only where the new acceptor can open the tickets of the old one: else
    /// clients shake hands in full.
    pub fn reload(&self, acceptor: impl TlsAcceptor) -> Result<(), Error> {
        self.reloader.reload(acceptor)
    }

    /// What [`reload`](Self::reload) does, for another thread than the one that waits.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Begins to shut down and returns at once: no more connections are accepted, peers are sent
    /// GOAWAY (RFC 9113 section 6.8), requests in flight are answered. What is left after
    /// `deadline` is dropped. [`SHUTDOWN_DEADLINE`](crate::SHUTDOWN_DEADLINE) is a good deadline;
    /// zero ends everything now. A later call can only shorten it.
    pub fn shutdown(&self, deadline: Duration) {
        self.stop.drain.cancel();
        if deadline.is_zero() {
            self.stop.abort.cancel();
            return;
        }
        let abort = self.stop.abort.clone();
        let timer = thread::Builder::new().name("corelane-deadline".into());
        let spawned = timer.spawn(move || {
            thread::sleep(deadline);
            abort.cancel();
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to keep the shutdown deadline: ending now");
            self.stop.abort.cancel();
        }
    }

    /// [`shutdown`](Self::shutdown) for a server whose sockets somebody else accepts from as well
    /// ([`listeners`](Self::listeners)): connections that the kernel has not handed out yet are left to
    /// them. Where nobody has the sockets these are reset.
    pub fn hand_over(&self, deadline: Duration) {
        self.stop.skip_accept_backlog.store(true, Ordering::Relaxed);
        self.shutdown(deadline);
    }

    pub(super) fn abort(&self) {
        self.shutdown(Duration::ZERO);
    }

    /// Waits until all workers have ended, which they do after [`shutdown`](Self::shutdown).
    pub fn wait(self) -> Result<(), Error> {
        let mut result = Ok(());
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                result = Err(Error::new(
                    Kind::Worker,
                    format!("a worker panicked: {}", panic_message(&*panic)),
                ));
            }
        }
        result
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("local_addrs", &self.local_addrs)
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}
