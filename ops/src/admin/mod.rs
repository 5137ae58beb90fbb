//! The admin port: metrics and health over plain HTTP/1.1, as Prometheus and load balancers ask for
//! them. It runs on its own thread, so workers take no part in it.

mod certificate_expiry;
mod exposition;
mod host;
mod routes;
mod serve;
mod spare;

use std::{
    convert::Infallible,
    fmt,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    time::Duration,
};

use corelane::Observer;

pub use self::certificate_expiry::CertificateExpiry;
use self::{
    host::AllowedHosts,
    routes::Routes,
    serve::{AdminServer, spawn},
};
use crate::{Error, Health};

/// A port that answers `/metrics` in Prometheus' text format, and `/healthz` and `/readyz` from a
/// [`Health`].
///
/// [`Lifecycle::admin`](crate::Lifecycle::admin) opens it. Without a lifecycle,
/// [`start`](Self::start) does.
///
/// The port has no TLS and no authentication: use a loopback address, or a network that only
/// monitoring can reach.
pub struct Admin {
    addr: SocketAddr,
    hosts: Vec<String>,
    health: Health,
    record: Box<dyn Fn() + Send>,
}

impl Admin {
    /// A port on this address. Port 0 means any free port.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            hosts: Vec::new(),
            health: Health::new(),
            record: Box::new(|| {}),
        }
    }

    /// Adds a name that requests may use as their host, beside addresses and `localhost`. Requests for
    /// other hosts get 421, so that a web page cannot read the port by a name of its own that resolves
    /// to it (DNS rebinding). Default: none on a loopback address, all on other addresses.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// The health that `/readyz` reports. [`Lifecycle::admin`](crate::Lifecycle::admin) sets it.
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Adds metrics: `record` runs before each response to `/metrics`, where the macros of crate
    /// metrics record into that response.
    pub fn record(mut self, record: impl Fn() + Send + 'static) -> Self {
        let before = self.record;
        self.record = Box::new(move || {
            before();
            record();
        });
        self
    }

    /// Opens the port for this server and returns its address. The thread ends after
    /// [`Handle::hand_over`](corelane::Handle::hand_over), otherwise with the process.
    ///
    /// # Errors
    ///
    /// When the port cannot be opened, or the thread cannot start.
    pub fn start(self, observer: Observer) -> Result<SocketAddr, Error> {
        let (start, _socket, addr) = self.prepare(&mut Vec::new())?;
        start.observe(observer);
        Ok(addr)
    }

    /// Opens the port, or takes it out of `given`, and starts its thread, which waits for the server.
    /// Returns the socket too, for the process that replaces this one.
    pub(crate) fn prepare(
        self,
        given: &mut Vec<TcpListener>,
    ) -> Result<(AdminStart, TcpListener, SocketAddr), Error> {
        let addr = self.addr;
        let mut fitting =
            given.extract_if(.., |it| it.local_addr().is_ok_and(|given| given == addr));
        let listener = match fitting.next() {
            Some(listener) => listener,
            None => corelane::listen(addr)
                .map_err(|error| Error::with_source("the admin port cannot be opened", error))?,
        };
        let prepared = listener
            .set_nonblocking(true)
            .and_then(|()| Ok((listener.try_clone()?, listener.local_addr()?)));
        let (socket, local_addr) = prepared.map_err(|error| {
            Error::with_source(format!("cannot listen on the admin address {addr}"), error)
        })?;
        if !addr.ip().is_loopback() {
            tracing::warn!(
                addr = %local_addr,
                "other machines can reach the admin port, without TLS or authentication"
            );
        }
        let (observers, observer) = mpsc::channel();
        let (open, ended) = mpsc::channel();
        let hosts = AllowedHosts::new(&self.hosts, local_addr);
        let (health, record) = (self.health, self.record);
        let start = move || {
            // The sender is gone when the server did not start.
            let observer: Observer = observer.recv().ok()?;
            health.observe(observer.clone());
            let routes = Routes::new(observer.clone(), health, record, hosts);
            Some(AdminServer {
                listener,
                routes,
                observer,
                _open: open,
            })
        };
        spawn(start).map_err(|error| Error::with_source("cannot start the admin thread", error))?;
        Ok((AdminStart { observers, ended }, socket, local_addr))
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("addr", &self.addr)
            .field("health", &self.health.state())
            .finish_non_exhaustive()
    }
}

/// Starts the answers of an open port.
pub(crate) struct AdminStart {
    observers: mpsc::Sender<Observer>,
    ended: mpsc::Receiver<Infallible>,
}

impl AdminStart {
    pub(crate) fn observe(self, observer: Observer) -> AdminEnd {
        // The thread has ended only if it failed, which it has logged.
        let _ = self.observers.send(observer);
        AdminEnd(self.ended)
    }
}

/// The end of the thread of a port.
pub(crate) struct AdminEnd(mpsc::Receiver<Infallible>);

impl AdminEnd {
    /// How long to wait for responses: 5 s, far more than a scrape takes.
    const DEADLINE: Duration = Duration::from_secs(5);

    /// Waits until a port that was handed over has answered the clients that it has accepted.
    pub(crate) fn wait(self) {
        // Nothing is sent: the thread drops the sender when it ends.
        let _ = self.0.recv_timeout(Self::DEADLINE);
    }
}
