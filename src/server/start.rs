//! Starts the workers of a server.

use std::{
    fmt,
    net::SocketAddr,
    os::fd::RawFd,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use tokio_util::sync::CancellationToken;

use super::{
    current_acceptor::CurrentAcceptor,
    current_options::{CurrentOptions, ServerOptions},
    handle::Handle,
    heartbeat::Heartbeat,
    listener::listen_at_last,
    listening_socket::{Addresses, ListeningSocket},
    observer::{ObservedWorker, Observer},
    reloader::Reloader,
    runtime::{Driver, log_refusals},
    shutdown::Shutdown,
    tokio_runtime::TokioRuntime,
    worker::{self, Reports, WorkerConfig, WorkerInfo},
    workers_end::WorkersEnd,
};
use crate::{
    counters::Counters,
    error::{Error, Kind},
    service::HttpService,
    tls::TlsAcceptor,
};

/// A server whose sockets are open.
///
/// [`Builder::bind`](crate::Builder::bind) makes it, [`serve`](Self::serve) starts it.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
///
/// use corelane::{Body, Server, service_fn, tls::Cleartext};
/// use http::{Request, Response};
///
/// async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello\n".into()))
/// }
///
/// # fn main() -> Result<(), corelane::Error> {
/// let server = Server::builder(Cleartext).listen("127.0.0.1:0").bind()?;
/// println!("listening on {:?}", server.local_addrs());
/// let handle = server.serve(|_worker| service_fn(hello))?;
/// # handle.shutdown(Duration::ZERO);
/// handle.wait()
/// # }
/// ```
pub struct Server {
    /// The listeners and the CPU of each worker.
    pub(super) workers: Vec<(Vec<Arc<ListeningSocket>>, Option<usize>)>,
    /// Those of the listeners that do not listen yet.
    pub(super) completing: Vec<Arc<ListeningSocket>>,
    pub(super) backlog: u32,
    /// The descriptors of connections stay below it.
    pub(super) descriptor_bound: RawFd,
    pub(super) addresses: Addresses,
    pub(super) acceptor: Arc<dyn TlsAcceptor>,
    pub(super) driver: Driver,
    pub(super) options: ServerOptions,
    pub(super) tokio: Option<Arc<TokioRuntime>>,
}

impl Server {
    /// The addresses that the server listens on, with the ports that the kernel chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses.tcp
    }

    /// The paths of the Unix sockets that the server listens on. A socket in the abstract namespace has
    /// none.
    pub fn unix_paths(&self) -> &[PathBuf] {
        &self.addresses.unix
    }

    /// Starts the workers and returns when all of them accept connections. Each worker calls `factory`
    /// inside its runtime to make its service: `monoio::spawn` works there.
    ///
    /// With the feature `tokio`, handlers may use the tokio runtime of
    /// [`Builder::tokio`](crate::Builder#method.tokio), or else the one in which this is called.
    ///
    /// # Errors
    ///
    /// [`Error::is_worker`] if a worker cannot start, for example because `factory` panicked, and
    /// [`Error::is_unsupported`] if the kernel refuses [`Driver::IoUring`]. All other workers are then
    /// stopped.
    pub fn serve<F, S>(self, factory: F) -> Result<Handle, Error>
    where
        F: Fn(WorkerInfo) -> S + Send + Sync + 'static,
        S: HttpService,
    {
        let factory = Arc::new(factory);
        let backend = self.acceptor.backend();
        let acceptor = Arc::new(CurrentAcceptor::new(self.acceptor));
        let options = Arc::new(CurrentOptions::new(self.options));
        let stop = Shutdown::default();
        let tokio = self.tokio.or_else(TokioRuntime::of_caller);
        let end = Arc::new(WorkersEnd::new(self.workers.len()));
        let listening = CancellationToken::new();
        let ((proved, proofs), (accepting, accepts)) = (mpsc::channel(), mpsc::channel());
        let reports = Reports { proved, accepting };
        let mut threads = Vec::new();
        let worker_count = self.workers.len();
        let mut observed = Vec::new();
        let mut failure = None;
        let sockets = self.workers.iter().flat_map(|(listeners, _)| listeners);
        let sockets = sockets.map(Arc::downgrade).collect();
        for (index, (listeners, cpu)) in self.workers.into_iter().enumerate() {
            let config = WorkerConfig {
                index,
                cpu,
                driver: self.driver,
                listeners,
                descriptor_bound: self.descriptor_bound,
                acceptor: Arc::clone(&acceptor),
                options: Arc::clone(&options),
                counters: Arc::new(Counters::default()),
                heartbeat: Arc::new(Heartbeat::new()),
                listening: listening.clone(),
                stop: stop.child(),
                tokio: tokio.clone(),
            };
            observed.push((Arc::clone(&config.counters), Arc::clone(&config.heartbeat)));
            let (factory, reports) = (Arc::clone(&factory), reports.clone());
            let (ending, all) = (Arc::clone(&end), stop.clone());
            let spawned = thread::Builder::new()
                .name(format!("corelane-{index}"))
                .spawn(move || {
                    let run = AssertUnwindSafe(|| worker::run(config, &*factory, reports));
                    let panic = catch_unwind(run).err();
                    ending.ended(index, panic.as_deref(), &all);
                });
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let error = Error::new(Kind::Worker, "cannot start a worker's thread")
                        .with_source(error);
                    failure = Some(error);
                    break;
                }
            }
        }
        drop(reports);
        end.not_started(worker_count - threads.len());
        let mut workers = Vec::new();
        for result in proofs {
            match result {
                Ok(worker) => workers.push(worker),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let failure = match failure {
            Some(error) => Some(error),
            None if workers.len() != observed.len() => Some(stopped()),
            None => {
                let accepting = || {
                    // Not before: a server that does not start would lose the connections.
                    for listener in &self.completing {
                        listen_at_last(listener, self.backlog)?;
                    }
                    listening.cancel();
                    let accepting = accepts.iter().collect::<Result<Vec<()>, _>>()?;
                    let all = accepting.len() == observed.len();
                    all.then_some(()).ok_or_else(stopped)
                };
                accepting().err()
            }
        };
        workers.sort_by_key(|worker| worker.info.index);
        let (workers, refusals): (Vec<_>, Vec<_>) = workers
            .into_iter()
            .map(|worker| (worker.info, worker.refusal))
            .unzip();
        if failure.is_none() {
            log_refusals(&refusals);
        }
        let observer = Observer::new(
            backend,
            workers
                .into_iter()
                .zip(observed)
                .map(|(info, (counters, heartbeat))| ObservedWorker {
                    info,
                    counters,
                    heartbeat,
                })
                .collect(),
            stop.clone(),
        );
        let reloader = Reloader::new(acceptor, options);
        let handle = Handle::new(
            self.addresses,
            reloader,
            sockets,
            stop,
            threads,
            end,
            observer,
        );
        if let Some(error) = failure {
            handle.abort();
            // The error to report is the one that made the start fail.
            let _ = handle.wait();
            return Err(error);
        }
        handle.own_files();
        Ok(handle)
    }
}

fn stopped() -> Error {
    Error::new(Kind::Worker, "a worker stopped while it started")
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("backend", &self.acceptor.backend())
            .field("local_addrs", &self.addresses.tcp)
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}
