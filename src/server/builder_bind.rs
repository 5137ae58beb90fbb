//! Checks the options of a server, and opens its sockets.

use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc, thread};

use super::{
    builder::{Affinity, Builder},
    current_options::{ServerOptions, WorkerLimits},
    descriptors, listener,
    listening_socket::{Addresses, ListeningSocket},
    runtime,
    start::Server,
    unix_socket::{self, UnixSocket},
};
use crate::{error::Error, tls::TlsAcceptor};

impl Builder {
    /// Checks the options as [`bind`](Self::bind) does, and the driver as [`Server::serve`] does, without
    /// opening a socket. Only the kernel knows whether an address is free, so `bind` can still fail.
    ///
    /// It logs what a start would: which workers cannot use io_uring, and if the connections of all
    /// workers do not fit into the limit on open files (`RLIMIT_NOFILE`).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an option is out of range, an address cannot be resolved, there is no
    /// address to listen on, a CPU is not available to this process, or the acceptor does not choose the
    /// server's protocols by ALPN. [`Error::is_unsupported`] if
    /// [`Driver::IoUring`](crate::Driver::IoUring) does not work here.
    pub fn check(&self) -> Result<(), Error> {
        self.check_options()?;
        runtime::check(self.driver, self.worker_count(&self.cpus()?))
    }

    fn check_options(&self) -> Result<(), Error> {
        self.connection_options.validate()?;
        self.connection_options.check_acceptor(&*self.acceptor)?;
        self.worker_limits()?;
        if self.workers == Some(0) {
            return Err(at_least_one("workers", "leave it out for one per CPU"));
        }
        if let Some(why) = &self.unresolved {
            return Err(Error::config(why));
        }
        let unix = !self.unix_paths.is_empty() || !self.unix_listeners.is_empty();
        if self.addrs.is_empty() && self.listeners.is_empty() && !unix {
            return Err(Error::config(
                "no address to listen on: use Builder::listen, Builder::listener or \
                 Builder::listen_unix",
            ));
        }
        for path in &self.unix_paths {
            unix_socket::check_path(path)?;
        }
        if self.unix_mode > 0o777 {
            return Err(Error::config(format!(
                "Builder::unix_mode is {:o}, it must be at most 777 (octal)",
                self.unix_mode
            )));
        }
        let workers = self.worker_count(&self.cpus()?);
        if let Ok(limit) = descriptors::hard_limit() {
            descriptors::warn_if_short(limit, self.max_connections, workers);
        }
        Ok(())
    }

    /// Checks the options and opens the sockets of all workers.
    ///
    /// Clients may connect from now on; they wait in the kernel until [`Server::serve`]. This raises
    /// the process's soft limit on open files (`RLIMIT_NOFILE`) to the hard one.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), except the driver's, and [`Error::is_bind`] if a socket cannot be
    /// opened. The text says why, for example which process listens on the port.
    pub fn bind(self) -> Result<Server, Error> {
        self.check_options()?;
        let limits = self.worker_limits()?;
        let descriptor_limit = descriptors::raise();
        let cpus = self.cpus()?;
        let workers = self.worker_count(&cpus);
        let options = &self.listener_options;
        let is_given = |addr: &SocketAddr| {
            let mut given = self.listeners.iter();
            given.any(|listener| listener::is_on(listener, *addr))
        };
        let (given, new): (Vec<_>, Vec<_>) = self.addrs.into_iter().partition(is_given);
        let completing = given
            .into_iter()
            .flat_map(|addr| listener::complete(addr, &self.listeners, workers, options));
        let completing: Vec<_> = completing
            .map(|listener| Arc::new(ListeningSocket::Tcp(listener)))
            .collect();
        let mut listeners = listener::assign(self.listeners, &completing, workers)?;
        for addr in new {
            let bound = listener::bind(addr, workers, options)?;
            for (worker, listener) in listeners.iter_mut().zip(bound) {
                worker.push(Arc::new(ListeningSocket::Tcp(listener)));
            }
        }
        let sockets = unix_socket::open(
            self.unix_listeners,
            self.unix_paths,
            self.unix_mode,
            options.backlog,
        )?;
        let unix_paths = sockets.iter().filter_map(UnixSocket::path).collect();
        for socket in sockets {
            let socket = Arc::new(ListeningSocket::Unix(socket));
            for worker in &mut listeners {
                worker.push(Arc::clone(&socket));
            }
        }
        let descriptor_bound = descriptors::bound_of_connections(
            descriptor_limit,
            listeners.iter().map(Vec::len).sum(),
        );
        let mut local_addrs = Vec::new();
        for listener in listeners.iter().flatten() {
            let addr = listener.local_addr()?;
            local_addrs.extend(addr.filter(|addr| !local_addrs.contains(addr)));
        }
        let pinned = match self.affinity {
            Affinity::Auto => cpus.len() == workers,
            Affinity::Cpus(_) => true,
            Affinity::None => false,
        };
        let cpus = (0..workers).map(|i| pinned.then(|| cpus[i % cpus.len()]));
        Ok(Server {
            workers: listeners.into_iter().zip(cpus).collect(),
            completing,
            backlog: options.backlog,
            descriptor_bound,
            addresses: Addresses {
                tcp: local_addrs,
                unix: unix_paths,
            },
            acceptor: self.acceptor,
            driver: self.driver,
            options: ServerOptions {
                limits,
                connection: self.connection_options,
            },
            tokio: self.tokio,
        })
    }

    /// What a running server can take over from these options, after the checks of
    /// [`bind`](Self::bind) that concern it.
    pub(super) fn into_options(self) -> Result<(Arc<dyn TlsAcceptor>, ServerOptions), Error> {
        self.connection_options.validate()?;
        self.connection_options.check_acceptor(&*self.acceptor)?;
        let options = ServerOptions {
            limits: self.worker_limits()?,
            connection: self.connection_options,
        };
        Ok((self.acceptor, options))
    }

    fn worker_limits(&self) -> Result<WorkerLimits, Error> {
        let positive = |name, limit| {
            NonZeroUsize::new(limit)
                .ok_or_else(|| at_least_one(name, "the server would accept no connection"))
        };
        Ok(WorkerLimits {
            connections: positive("max_connections", self.max_connections)?,
            handshakes: positive("max_handshakes", self.max_handshakes)?,
        })
    }

    /// The CPUs that workers may be pinned to.
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
                "CPU {cpu} is not available to this process; available are {allowed:?}"
            ))),
            None => Ok(wanted.clone()),
        }
    }

    fn worker_count(&self, cpus: &[usize]) -> usize {
        match (self.workers, &self.affinity) {
            (Some(workers), _) => workers,
            (None, Affinity::Cpus(_)) => cpus.len(),
            (None, _) => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

fn at_least_one(option: &str, why: &str) -> Error {
    Error::config(format!(
        "Builder::{option} is 0, it must be at least 1: {why}"
    ))
}
