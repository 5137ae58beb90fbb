//! The options of a server.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    connection_options::ConnectionOptions, listener::ListenerOptions,
    protocol_stream::ProtocolStream, runtime::Driver, start::Server, tokio_runtime::TokioRuntime,
};
use crate::{
    alpn::{AlpnMissing, ProtocolName},
    config::{
        BACKLOG, Http2Config, Http2Engine, Limits, MAX_CONNECTIONS, MAX_HANDSHAKES, UNIX_MODE,
    },
    connection_info::ConnectionInfo,
    tls::TlsAcceptor,
};

/// The CPUs that workers are pinned to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Affinity {
    /// Pins each worker to one of the CPUs that the process may use, in order, if there are as many
    /// workers as CPUs. Otherwise it pins none: with fewer workers, as in a container with a quota,
    /// another process that pins its workers would choose the same CPUs. The default.
    #[default]
    Auto,
    /// Pins each worker to one of these CPUs, in order, and starts again at the first after the last.
    Cpus(Vec<usize>),
    /// Pins none: the kernel may move them.
    None,
}

/// Options of a [`Server`], made by [`Server::builder`].
///
/// ```
/// use corelane::{Affinity, Limits, Server, tls::Cleartext};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let server = Server::builder(Cleartext)
///     .listen("127.0.0.1:0")
///     .workers(2)
///     .affinity(Affinity::None)
///     .limits(Limits::default().idle(std::time::Duration::from_secs(300)))
///     .bind()?;
/// assert_ne!(server.local_addrs()[0].port(), 0);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Builder {
    pub(super) acceptor: Arc<dyn TlsAcceptor>,
    pub(super) addrs: Vec<SocketAddr>,
    /// Why an address given to `listen` cannot be used.
    pub(super) unresolved: Option<String>,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) unix_paths: Vec<PathBuf>,
    pub(super) unix_listeners: Vec<UnixListener>,
    pub(super) unix_mode: u32,
    pub(super) workers: Option<usize>,
    pub(super) affinity: Affinity,
    pub(super) driver: Driver,
    pub(super) listener_options: ListenerOptions,
    pub(super) max_connections: usize,
    pub(super) max_handshakes: usize,
    pub(super) connection_options: ConnectionOptions,
    pub(super) tokio: Option<Arc<TokioRuntime>>,
}

impl Server {
    /// Options of a server with this TLS backend; [`tls::Cleartext`](crate::tls::Cleartext) stands
    /// for no TLS.
    pub fn builder(acceptor: impl TlsAcceptor) -> Builder {
        Builder {
            acceptor: Arc::new(acceptor),
            addrs: Vec::new(),
            unresolved: None,
            listeners: Vec::new(),
            unix_paths: Vec::new(),
            unix_listeners: Vec::new(),
            unix_mode: UNIX_MODE,
            workers: None,
            affinity: Affinity::default(),
            driver: Driver::default(),
            listener_options: ListenerOptions {
                backlog: BACKLOG,
                only_v6: true,
                share_port: false,
            },
            max_connections: MAX_CONNECTIONS,
            max_handshakes: MAX_HANDSHAKES,
            connection_options: ConnectionOptions::default(),
            tokio: None,
        }
    }
}

impl Builder {
    /// Adds an address to listen on: a socket address, `"host:port"`, `(host, port)`, or anything
    /// else that [`ToSocketAddrs`] takes. Port 0 asks the kernel for a port, the same one for all
    /// workers.
    ///
    /// A name is resolved at once, and the server listens on all of its addresses. If it cannot be
    /// resolved, [`check`](Self::check) and [`bind`](Self::bind) return an error.
    ///
    /// ```
    /// # use corelane::{Server, tls::Cleartext};
    /// let builder = Server::builder(Cleartext)
    ///     .listen("127.0.0.1:8080")
    ///     .listen(("::1", 8080));
    /// # let _ = builder;
    /// ```
    pub fn listen(mut self, addr: impl ToSocketAddrs + fmt::Debug) -> Self {
        let begin = self.addrs.len();
        match addr.to_socket_addrs() {
            Ok(resolved) => {
                for addr in resolved {
                    // A resolver may name an address once per protocol.
                    if !self.addrs[begin..].contains(&addr) {
                        self.addrs.push(addr);
                    }
                }
                if self.addrs.len() == begin {
                    self.unresolved(format!("{addr:?} names no address to listen on"));
                }
            }
            Err(error) => self.unresolved(format!(
                "cannot listen on {addr:?}, it is not an address and cannot be resolved: {error}"
            )),
        }
        self
    }

    /// The first failure is the one to report.
    fn unresolved(&mut self, why: String) {
        self.unresolved.get_or_insert(why);
    }

    /// Adds a listener that is open already: one that the caller opened, that the service manager
    /// passed, or that another server shares ([`Handle::listeners`](crate::Handle::listeners)).
    ///
    /// The workers get the listeners of one address in turn. If there are fewer listeners than
    /// workers, several workers share one, unless [`listen`](Self::listen) names the address too: then
    /// the other workers get listeners of their own, if the given ones have SO_REUSEPORT. If there are
    /// more listeners than workers, a worker has several. A socket that
    /// does not listen is an error of [`bind`](Self::bind).
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Sets the number of workers, at least 1. Default: the number of CPUs in [`Affinity::Cpus`], or
    /// else [`available_parallelism`](std::thread::available_parallelism).
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets which CPUs the workers are pinned to. Default [`Affinity::Auto`].
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = affinity;
        self
    }

    /// Sets the driver of the workers' runtimes. Default [`Driver::Auto`].
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// Sets the tokio runtime that handlers use: every worker has entered it, so timers, sockets,
    /// `tokio::spawn` and what is built on them work in handlers and in request and response bodies.
    /// Default: the runtime in which [`Server::serve`] is called, if it is called in one.
    ///
    /// tokio's own threads drive its timers and sockets and run what `tokio::spawn` gets; the handlers
    /// stay on the worker. The runtime has to outlive the server: if it ends first, the server logs an
    /// error once, and what needs it in a handler panics, which fails that request. A runtime of
    /// [`new_current_thread`](tokio::runtime::Builder::new_current_thread) works only while a thread is in
    /// its `block_on`: wait for the server by [`Handle::stopped`](crate::Handle::stopped) there.
    ///
    /// What does not work: `tokio::task::spawn_local` panics with a message that begins with
    /// "`spawn_local` called from outside of a `task::LocalSet`"; use `monoio::spawn`.
    /// `tokio::task::block_in_place` and `tokio::runtime::Handle::block_on` return their results, without
    /// a message, but stall the worker and all of its connections; use `tokio::task::spawn_blocking`.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn tokio(mut self, handle: tokio::runtime::Handle) -> Self {
        self.tokio = Some(TokioRuntime::new(handle));
        self
    }

    /// Sets the number of connections per listener that the kernel keeps until a worker accepts them.
    /// Default [`BACKLOG`]; the kernel caps it at `net.core.somaxconn`.
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.listener_options.backlog = backlog;
        self
    }

    /// Sets the number of open connections per worker, at least 1. The server closes one more as soon
    /// as it has accepted it: the client sees the end before the first byte and can try elsewhere.
    /// Default [`MAX_CONNECTIONS`].
    ///
    /// Each connection needs a file descriptor. When only
    /// [`RESERVED_DESCRIPTORS`](crate::config::RESERVED_DESCRIPTORS) are left, new connections wait in
    /// the kernel until others end.
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets the number of handshakes in progress per worker, up to the HTTP/2 preface, at least 1. At
    /// one more the server closes the oldest, so that clients that complete their handshake get
    /// through, however many do not. Default [`MAX_HANDSHAKES`].
    pub fn max_handshakes(mut self, max_handshakes: usize) -> Self {
        self.max_handshakes = max_handshakes;
        self
    }

    /// Sets whether listeners on IPv6 addresses accept IPv6 only (RFC 3493 section 5.3). Default true,
    /// so that a server can listen on `[::]` and `0.0.0.0` side by side.
    pub fn only_v6(mut self, only_v6: bool) -> Self {
        self.listener_options.only_v6 = only_v6;
        self
    }

    /// Sets whether the server may join servers that listen on the same port already, for example
    /// while one process replaces another; the kernel then distributes connections among all of them.
    /// They must run as the same user. Default false: a port in use is an error of
    /// [`bind`](Self::bind), which names the process that has it.
    pub fn share_port(mut self, share_port: bool) -> Self {
        self.listener_options.share_port = share_port;
        self
    }

    /// Sets the protocols to serve, best first. The first one that a client offers by ALPN is chosen,
    /// whatever the order of its offer; a client that offers none of them gets the alert
    /// `no_application_protocol` (120, RFC 7301 section 3.2). Default: `h2` alone.
    ///
    /// `h2` and `http/1.1` (feature `http1`) call the same service, and so does `http/1.0`, which few
    /// clients offer; any other name needs a handler, see
    /// [`protocol`](Self::protocol). A client without ALPN gets `http/1.1` if it is in the list, or else
    /// what [`alpn_missing`](Self::alpn_missing) says. Without TLS the first bytes of a connection tell
    /// `h2` with prior knowledge from `http/1.1`.
    ///
    /// The acceptor chooses by a list of its own,
    /// [`TlsConfig::alpn_protocols`](crate::tls::TlsConfig#structfield.alpn_protocols): set both to the
    /// same list. [`bind`](Self::bind) returns an error if it finds that they differ.
    pub fn protocols(mut self, names: impl IntoIterator<Item = ProtocolName>) -> Self {
        self.connection_options = self.connection_options.protocols(names);
        self
    }

    /// Serves the protocol of this name by a handler, which gets the connection after the TLS handshake
    /// and runs on its worker. If [`protocols`](Self::protocols) does not list the name, it is added at
    /// the end.
    ///
    /// The limits on connections, handshakes, idle time and writing hold as for HTTP/2, and the counters
    /// count as for it. The connection ends with the handler's future, in order: what is written is
    /// sent, then close_notify. An error is logged at level debug and counted as a failed connection; a
    /// panic ends the connection only. When the server shuts down,
    /// [`ProtocolStream::server_shutdown`] tells the handler.
    ///
    /// ```no_run
    /// # #[cfg(feature="rustls")]
    /// # fn main() -> Result<(), corelane::Error> {
    /// # use std::convert::Infallible;
    /// use std::{io, sync::Arc};
    ///
    /// use corelane::{
    ///     ConnectionInfo, ProtocolName, ProtocolStream, Server,
    ///     tls::{Identity, RustlsAcceptor, TlsConfig},
    /// };
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # use corelane::{Body, service_fn};
    /// # use http::{Request, Response};
    /// # async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    /// #     Ok(Response::new("hello\n".into()))
    /// # }
    ///
    /// const UPPER: ProtocolName = ProtocolName::from_static(b"upper/1");
    ///
    /// async fn upper(mut stream: ProtocolStream, _client: Arc<ConnectionInfo>) -> io::Result<()> {
    ///     let mut buf = [0; 1024];
    ///     loop {
    ///         let n = stream.read(&mut buf).await?;
    ///         if n == 0 {
    ///             return Ok(());
    ///         }
    ///         buf[..n].make_ascii_uppercase();
    ///         stream.write_all(&buf[..n]).await?;
    ///         stream.flush().await?;
    ///     }
    /// }
    ///
    /// let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
    /// let tls = TlsConfig::new(identity).alpn_protocols([ProtocolName::H2, UPPER]);
    /// Server::builder(RustlsAcceptor::new(&tls)?)
    ///     .listen("0.0.0.0:8443")
    ///     .protocol(UPPER, upper)
    ///     .bind()?
    ///     .serve(|_worker| service_fn(hello))?
    ///     .wait()
    /// # }
    /// # #[cfg(not(feature="rustls"))]
    /// # fn main() {}
    /// ```
    pub fn protocol<H, F, E>(mut self, name: ProtocolName, handler: H) -> Self
    where
        H: Fn(ProtocolStream, Arc<ConnectionInfo>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.connection_options = self.connection_options.protocol(name, handler);
        self
    }

    /// Sets how the server treats clients without the ALPN extension. Default [`AlpnMissing::Reject`].
    pub fn alpn_missing(mut self, alpn_missing: AlpnMissing) -> Self {
        self.connection_options.alpn_missing = alpn_missing;
        self
    }

    /// Expects a header of the PROXY protocol, version 1 or 2, on every connection from these
    /// networks. The header names the client:
    /// [`ConnectionInfo::peer_addr`](crate::ConnectionInfo#structfield.peer_addr) is then its address.
    /// The server closes a connection from these networks without the header. From any other address
    /// it expects none, and a header there fails the TLS handshake.
    ///
    /// A host in these networks can claim any client address: name the proxies only. A header has at
    /// most 4,096 bytes and must arrive within [`Limits::handshake`](Limits#structfield.handshake),
    /// which the TLS handshake counts towards too. Default: none.
    pub fn proxy_protocol(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.connection_options.proxy_protocol = networks.into_iter().collect();
        self
    }

    /// Sets the time limits of connections. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.connection_options.limits = limits;
        self
    }

    /// Sets the HTTP/2 settings. Default [`Http2Config::default`].
    pub fn http2(mut self, http2: Http2Config) -> Self {
        self.connection_options.http2 = http2;
        self
    }

    /// Sets the implementation of HTTP/2. Default [`Http2Engine::H2`].
    pub fn http2_engine(mut self, engine: Http2Engine) -> Self {
        self.connection_options.http2_engine = engine;
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("backend", &self.acceptor.backend())
            .field("addrs", &self.addrs)
            .field("listeners", &self.listeners.len())
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
