//! Controls a running server.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{Arc, Weak},
    thread::JoinHandle,
    time::Duration,
};

use super::{
    listening_socket::{Addresses, ListeningSocket},
    observer::{Observer, WorkerStatus},
    reloader::Reloader,
    shutdown::Shutdown,
    workers_end::WorkersEnd,
};
use crate::{
    error::{Error, Kind, panic_message},
    tls::TlsAcceptor,
};

/// A running server, made by [`Server::serve`](crate::Server::serve). Dropping it does not stop the
/// server.
///
/// No panic of a handler ends a worker. If another panic does, for example one of a task that the service
/// factory has spawned with `monoio::spawn`, the other workers shut down with
/// [`SHUTDOWN_DEADLINE`](crate::config::SHUTDOWN_DEADLINE), and [`wait`](Self::wait) and
/// [`stopped`](Self::stopped) return the error: the program can end, and its supervisor restart it.
///
/// ```
/// use std::convert::Infallible;
///
/// use corelane::{Body, Server, config::SHUTDOWN_DEADLINE, service_fn, tls::Cleartext};
/// use http::{Request, Response};
///
/// async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello\n".into()))
/// }
///
/// # fn main() -> Result<(), corelane::Error> {
/// let handle = Server::builder(Cleartext)
///     .listen("127.0.0.1:0")
///     .bind()?
///     .serve(|_worker| service_fn(hello))?;
/// for worker in handle.workers() {
///     println!("worker {}: {} requests", worker.info.index, worker.counters.requests);
/// }
/// // Usually when a signal arrives: a thread of its own calls this while another one waits.
/// handle.shutdown(SHUTDOWN_DEADLINE);
/// handle.wait()
/// # }
/// ```
pub struct Handle {
    addresses: Addresses,
    reloader: Reloader,
    /// The listeners of all workers, which close them. A shared listener occurs once for each of
    /// its workers.
    listeners: Vec<Weak<ListeningSocket>>,
    shutdown: Shutdown,
    threads: Vec<JoinHandle<()>>,
    end: Arc<WorkersEnd>,
    observer: Observer,
}

impl Handle {
    pub(super) fn new(
        addresses: Addresses,
        reloader: Reloader,
        listeners: Vec<Weak<ListeningSocket>>,
        shutdown: Shutdown,
        threads: Vec<JoinHandle<()>>,
        end: Arc<WorkersEnd>,
        observer: Observer,
    ) -> Self {
        Self {
            addresses,
            reloader,
            listeners,
            shutdown,
            threads,
            end,
            observer,
        }
    }

    /// The addresses that the server listens on.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses.tcp
    }

    /// The paths of the Unix sockets that the server listens on. A socket in the abstract namespace has
    /// none.
    pub fn unix_paths(&self) -> &[PathBuf] {
        &self.addresses.unix
    }

    /// Duplicates of the listening TCP sockets, each once, for another server or process to accept from
    /// ([`Builder::listener`](crate::Builder::listener)). As long as any process has the socket open,
    /// connections wait in the kernel and none is lost. Sockets that are closed already, as after
    /// [`shutdown`](Self::shutdown), are left out.
    ///
    /// # Errors
    ///
    /// [`Error::is_bind`] if the process has too many open files.
    pub fn listeners(&self) -> Result<Vec<TcpListener>, Error> {
        self.duplicate(|socket| match socket {
            ListeningSocket::Tcp(listener) => Some(listener.try_clone()),
            ListeningSocket::Unix(_) => None,
        })
    }

    /// What [`listeners`](Self::listeners) is for TCP: duplicates of the listening Unix sockets
    /// ([`Builder::unix_listener`](crate::Builder::unix_listener)).
    ///
    /// # Errors
    ///
    /// [`Error::is_bind`] if the process has too many open files.
    pub fn unix_listeners(&self) -> Result<Vec<UnixListener>, Error> {
        self.duplicate(|socket| match socket {
            ListeningSocket::Tcp(_) => None,
            ListeningSocket::Unix(socket) => Some(socket.listener.try_clone()),
        })
    }

    fn duplicate<T>(
        &self,
        duplicate: impl Fn(&ListeningSocket) -> Option<io::Result<T>>,
    ) -> Result<Vec<T>, Error> {
        let mut open: Vec<Arc<ListeningSocket>> = Vec::new();
        for listener in self.listeners.iter().filter_map(Weak::upgrade) {
            if !open.iter().any(|known| Arc::ptr_eq(known, &listener)) {
                open.push(listener);
            }
        }
        let clones = open.iter().filter_map(|listener| duplicate(listener));
        clones.collect::<Result<_, _>>().map_err(|error| {
            Error::new(Kind::Bind, "cannot duplicate a listening socket").with_source(error)
        })
    }

    /// The server has started: it removes the files of its Unix sockets when it ends.
    pub(super) fn own_files(&self) {
        for socket in self.listeners.iter().filter_map(Weak::upgrade) {
            if let ListeningSocket::Unix(socket) = &*socket {
                socket.own_file();
            }
        }
    }

    /// The workers with their counters so far.
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.observer.workers().collect()
    }

    /// Reads the server's state from other threads, for example in a metrics endpoint or a handler.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Uses this acceptor for every handshake from now on, for example with new certificates. Open
    /// connections do not change, and handshakes in progress end with the acceptor they began with.
    /// The backend may be another one.
    ///
    /// A session resumes only if the new acceptor can open the tickets of the old one; otherwise the
    /// client makes a full handshake.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if [`Builder::bind`](crate::Builder::bind) would refuse the acceptor, or if
    /// one of the old and the new acceptor speaks TLS and the other does not. The server then keeps the
    /// old one.
    pub fn reload(&self, acceptor: impl TlsAcceptor) -> Result<(), Error> {
        self.reloader.reload(acceptor)
    }

    /// Does what [`reload`](Self::reload) does, from another thread than the one that
    /// [`wait`](Self::wait)s.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Starts a graceful shutdown and returns at once. The workers accept no more connections, send
    /// GOAWAY (RFC 9113 section 6.8) and answer the requests in flight; after `deadline` they drop the
    /// connections that are left. Zero drops all connections now, and
    /// [`SHUTDOWN_DEADLINE`](crate::config::SHUTDOWN_DEADLINE) is a usual value. A second call can only
    /// shorten the deadline.
    pub fn shutdown(&self, deadline: Duration) {
        self.shutdown.start(deadline);
    }

    /// Shuts down a server whose sockets another server accepts from as well
    /// ([`listeners`](Self::listeners)): like [`shutdown`](Self::shutdown), but the other server
    /// gets the connections that wait in the kernel. If no other process has the sockets open, the
    /// kernel resets these connections.
    pub fn hand_over(&self, deadline: Duration) {
        self.shutdown.hand_over(deadline);
    }

    /// Shuts down as [`shutdown`](Self::shutdown) and [`hand_over`](Self::hand_over) do, from other
    /// threads and tasks.
    pub fn shutdown_handle(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Waits in a task until all workers have stopped, in any runtime. The future is independent of
    /// the handle.
    ///
    /// ```no_run
    /// # use corelane::{Handle, config::SHUTDOWN_DEADLINE};
    /// # async fn signal() {}
    /// # async fn run(handle: Handle) -> Result<(), corelane::Error> {
    /// tokio::select! {
    ///     result = handle.stopped() => return result,
    ///     () = signal() => handle.shutdown(SHUTDOWN_DEADLINE),
    /// }
    /// handle.stopped().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_worker`] if a worker panicked.
    pub fn stopped(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let end = Arc::clone(&self.end);
        async move { end.wait().await }
    }

    pub(super) fn abort(&self) {
        self.shutdown(Duration::ZERO);
    }

    /// Waits until all workers have stopped, which they do after [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    ///
    /// [`Error::is_worker`] if a worker panicked.
    pub fn wait(self) -> Result<(), Error> {
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                return Err(Error::new(
                    Kind::Worker,
                    format!("a worker panicked: {}", panic_message(&*panic)),
                ));
            }
        }
        self.end.result()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("local_addrs", &self.addresses.tcp)
            .field("workers", &self.threads.len())
            .finish_non_exhaustive()
    }
}
