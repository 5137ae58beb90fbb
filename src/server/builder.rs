//! From options to running workers.

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
};

use ipnet::IpNet;

use super::{
    connection_options::ConnectionOptions,
    current_acceptor::{CurrentAcceptor, Reloader, check_alpn},
    handle::Handle,
    listener::{self, ListenerOptions},
    observer::Observer,
    runtime::Driver,
    worker::{self, Stop, WorkerConfig, WorkerInfo, WorkerLimits},
};
use crate::{
    alpn::AlpnMissing,
    config::{BACKLOG, Http2Config, Limits, MAX_CONNECTIONS, MAX_HANDSHAKES},
    counters::Counters,
    error::{Error, Kind},
    service::HttpService,
    tls::TlsAcceptor,
};

/// Which CPUs the workers are pinned to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Each worker to one of the CPUs that the process may use, in order. Not pinned where there
    /// are more workers than CPUs. The default.
    #[default]
    Auto,
    /// Each worker to one of these, in order and around again.
    Cpus(Vec<usize>),
    /// Not pinned: the kernel may move them.
    None,
}

/// Options of a [`Server`].
#[must_use]
pub struct Builder {
    acceptor: Arc<dyn TlsAcceptor>,
    addrs: Vec<SocketAddr>,
    listeners: Vec<TcpListener>,
    workers: Option<NonZeroUsize>,
    affinity: Affinity,
    driver: Driver,
    listener_options: ListenerOptions,
    worker_limits: WorkerLimits,
    connection_options: ConnectionOptions,
}

impl Builder {
    /// Listens on this address too. Port 0 asks the kernel for a port, the same for all workers.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.addrs.push(addr);
        self
    }

    /// Accepts from this listener too, which the caller opened, got from the service manager or from
    /// another server ([`Handle::listeners`]). Listeners of one address are dealt out to the workers;
    /// where there are fewer than workers, several share one, where there are more, a worker has
    /// several. One that does not listen is an error of [`bind`](Self::bind).
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// How many workers. Default: as many as
    /// [`available_parallelism`](thread::available_parallelism) says, or as many as CPUs are given
    /// by [`Affinity::Cpus`].
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Which CPUs the workers are pinned to. Default [`Affinity::Auto`].
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = affinity;
        self
    }

    /// What the workers run on. Default [`Driver::Auto`].
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// Connections that the kernel keeps per worker and address until they are accepted. Default
    /// [`BACKLOG`]; the kernel caps it at `net.core.somaxconn`.
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.listener_options.backlog = backlog;
        self
    }

    /// Connections that each worker has open at once. One more is closed as soon as it is accepted:
    /// its client sees an end before the first byte, and can try elsewhere. Default
    /// [`MAX_CONNECTIONS`].
    pub fn max_connections(mut self, max_connections: NonZeroUsize) -> Self {
        self.worker_limits.connections = max_connections;
        self
    }

    /// HandshakeLimiter, up to the HTTP/2 preface, that each worker has under way at once. One more takes
    /// the place of the one that has been under way for longest, which is closed: who means to
    /// connect gets through, however many do not. Default [`MAX_HANDSHAKES`].
    pub fn max_handshakes(mut self, max_handshakes: NonZeroUsize) -> Self {
        self.worker_limits.handshakes = max_handshakes;
        self
    }

    /// Whether a listener on an IPv6 address takes IPv6 only (RFC 3493 section 5.3). Default true,
    /// so that `[::]` and `0.0.0.0` can be listened on side by side.
    pub fn only_v6(mut self, only_v6: bool) -> Self {
        self.listener_options.only_v6 = only_v6;
        self
    }

    /// Whether to join servers that listen on the same port already, as when one process takes over
    /// from another; the kernel then deals connections out to all of them. They have to run as one
    /// user. Default false: a port in use is an error of [`bind`](Self::bind), which names who has
    /// it.
    pub fn share_port(mut self, share_port: bool) -> Self {
        self.listener_options.share_port = share_port;
        self
    }

    /// What becomes of clients that offer no protocol by ALPN. Default [`AlpnMissing::Reject`].
    pub fn alpn_missing(mut self, alpn_missing: AlpnMissing) -> Self {
        self.connection_options.alpn_missing = alpn_missing;
        self
    }

    /// From these networks every connection has to begin with a header of the PROXY protocol, version 1
    /// or 2, which names the client: [`ConnectionInfo::peer_addr`](crate::ConnectionInfo::peer_addr)
    /// is then what it says. A connection without one is closed. From anywhere else there is no such
    /// header: what looks like one is no TLS, and ends the handshake.
    ///
    /// Whoever can connect from these networks can claim any address: name proxies only. A header
    /// has 4,096 bytes at most and has to be there within [`Limits::handshake`], as all the rest of
    /// the handshake. Default: none.
    pub fn proxy_protocol(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.connection_options.proxy_protocol = networks.into_iter().collect();
        self
    }

    /// How long things may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.connection_options.limits = limits;
        self
    }

    /// Windows and bounds of HTTP/2.
    pub fn http2(mut self, http2: Http2Config) -> Self {
        self.connection_options.http2 = http2;
        self
    }

    /// Checks the options as [`bind`](Self::bind) does, and opens no socket.
    ///
    /// What only the kernel can say, as whether a port is free, is not among it.
    pub fn check(&self) -> Result<(), Error> {
        check_alpn(&*self.acceptor)?;
        self.connection_options.validate()?;
        if self.addrs.is_empty() && self.listeners.is_empty() {
            return Err(Error::config(
                "no address to listen on: use Builder::listen or Builder::listener",
            ));
        }
        self.cpus().map(|_cpus| ())
    }

    /// Checks the options and opens the sockets of all workers.
    ///
    /// Clients may connect from here on; they wait in the kernel until [`Server::serve`]. The soft
    /// limit on open files (`RLIMIT_NOFILE`) is raised to the hard one.
    pub fn bind(self) -> Result<Server, Error> {
        self.check()?;
        // A limit that cannot be raised shows itself when it is reached, with advice.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "the limit on open files cannot be raised");
        }
        let cpus = self.cpus()?;
        let workers = self.worker_count(&cpus);
        let mut listeners = listener::assign(self.listeners, workers)?;
        for addr in self.addrs {
            let bound = listener::bind(addr, workers, &self.listener_options)?;
            for (worker, listener) in listeners.iter_mut().zip(bound) {
                worker.push(Arc::new(listener));
            }
        }
        let mut local_addrs = Vec::new();
        for listener in listeners.iter().flatten() {
            let addr = listener.local_addr()?;
            if !local_addrs.contains(&addr) {
                local_addrs.push(addr);
            }
        }
        let pinned = match self.affinity {
            Affinity::Auto => cpus.len() >= workers,
            Affinity::Cpus(_) => true,
            Affinity::None => false,
        };
        let cpus = (0..workers).map(|i| pinned.then(|| cpus[i % cpus.len()]));
        Ok(Server {
            places: listeners.into_iter().zip(cpus).collect(),
            local_addrs,
            acceptor: self.acceptor,
            driver: self.driver,
            worker_limits: self.worker_limits,
            options: self.connection_options,
        })
    }

    /// The CPUs to pin to.
    fn cpus(&self) -> Result<Vec<usize>, Error> {
        let allowed: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        let Affinity::Cpus(wanted) = &self.affinity else {
            return Ok(allowed);
        };
        if wanted.is_empty() {
            return Err(Error::config("Affinity::Cpus names no CPU"));
        }
        match wanted.iter().find(|cpu| !allowed.contains(cpu)) {
            Some(cpu) => Err(Error::config(format!(
                "CPU {cpu} cannot be used by this process; it may use {allowed:?}"
            ))),
            None => Ok(wanted.clone()),
        }
    }

    fn worker_count(&self, cpus: &[usize]) -> usize {
        match (self.workers, &self.affinity) {
            (Some(workers), _) => workers.get(),
            (None, Affinity::Cpus(_)) => cpus.len(),
            (None, _) => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

/// A server whose sockets are open.
///
/// Made by [`Server::builder`] and [`Builder::bind`]; [`serve`](Self::serve) starts it.
pub struct Server {
    /// Each worker's listeners and CPU.
    places: Vec<(Vec<Arc<TcpListener>>, Option<usize>)>,
    local_addrs: Vec<SocketAddr>,
    acceptor: Arc<dyn TlsAcceptor>,
    driver: Driver,
    worker_limits: WorkerLimits,
    options: ConnectionOptions,
}

impl Server {
    /// A server on this TLS backend, [`tls::Cleartext`](crate::tls::Cleartext) for none.
    pub fn builder(acceptor: impl TlsAcceptor) -> Builder {
        Builder {
            acceptor: Arc::new(acceptor),
            addrs: Vec::new(),
            listeners: Vec::new(),
            workers: None,
            affinity: Affinity::default(),
            driver: Driver::default(),
            listener_options: ListenerOptions {
                backlog: BACKLOG,
                only_v6: true,
                share_port: false,
            },
            worker_limits: WorkerLimits {
                connections: MAX_CONNECTIONS,
                handshakes: MAX_HANDSHAKES,
            },
            connection_options: ConnectionOptions::default(),
        }
    }

    /// The addresses listened on, with the ports that the kernel gave.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Starts the workers. `factory` makes the service of each, inside the worker's runtime:
    /// `monoio::spawn` works there.
    ///
    /// Returns when all of them accept connections. If one cannot start, none is left running and
    /// the error says why, be it a panic of the factory.
    pub fn serve<F, S>(self, factory: F) -> Result<Handle, Error>
    where
        F: Fn(WorkerInfo) -> S + Send + Sync + 'static,
        S: HttpService,
    {
        let factory = Arc::new(factory);
        let backend = self.acceptor.backend();
        let acceptor = Arc::new(CurrentAcceptor::new(self.acceptor));
        let stop = Stop::default();
        let (started, starting) = mpsc::channel();
        let mut threads = Vec::new();
        let mut counters = Vec::new();
        let mut failure = None;
        let sockets = self.places.iter().flat_map(|(listeners, _)| listeners);
        let sockets = sockets.map(Arc::downgrade).collect();
        for (index, (listeners, cpu)) in self.places.into_iter().enumerate() {
            let plan = WorkerConfig {
                index,
                cpu,
                driver: self.driver,
                listeners,
                acceptor: Arc::clone(&acceptor),
                limits: self.worker_limits,
                options: self.options.clone(),
                counters: Arc::new(Counters::default()),
                stop: stop.child(),
            };
            counters.push(Arc::clone(&plan.counters));
            let (factory, started) = (Arc::clone(&factory), started.clone());
            let spawned = thread::Builder::new()
                .name(format!("corelane-{index}"))
                .spawn(move || worker::run(plan, &*factory, &started));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let error = Error::new(Kind::Worker, "no thread for a worker").with(error);
                    failure = Some(error);
                    break;
                }
            }
        }
        drop(started);
        let mut workers = Vec::new();
        for result in starting.iter().take(threads.len()) {
            match result {
                Ok(info) => workers.push(info),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if failure.is_none() && workers.len() != counters.len() {
            failure = Some(Error::new(Kind::Worker, "a worker ended while it started"));
        }
        workers.sort_by_key(|info| info.index);
        let observer = Observer::new(
            backend,
            workers.into_iter().zip(counters).collect(),
            stop.clone(),
        );
        let reloader = Reloader(acceptor);
        let handle = Handle::new(self.local_addrs, reloader, sockets, stop, threads, observer);
        if let Some(error) = failure {
            handle.abort();
            // What ended the start is the error to report.
            let _ = handle.wait();
            return Err(error);
        }
        Ok(handle)
    }
}
