//! The thread of a worker: its service, its listeners and its connections.

use std::{
    cell::Cell,
    future::Future,
    net::SocketAddr,
    os::fd::RawFd,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering, mpsc},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use monoio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    accept_loop::AcceptLoop,
    accepted_stream::{Accepted, Stream},
    connection::ConnectionHandler,
    current_acceptor::{AcceptorSource, CurrentAcceptor},
    current_options::{CurrentOptions, WorkerOptions},
    handshake_limiter::HandshakeLimiter,
    heartbeat::Heartbeat,
    listening_socket::ListeningSocket,
    local_shutdown::LocalShutdown,
    log_rate_limiter::LogRateLimiter,
    ring_runtime::Refusal,
    runtime::{ActiveDriver, Driver, Runtime, TIMER},
    shutdown::Shutdown,
    task_tracker::TaskTracker,
    tokio_runtime::TokioRuntime,
};
use crate::{
    connection_info::display_addr,
    counters::Counters,
    error::{Error, Kind, panic_message},
    http2::WorkerService,
    service::HttpService,
};

/// A worker, as the service factory and [`Handle::workers`](crate::Handle::workers) see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// The number of the worker, from 0.
    pub index: usize,
    /// The CPU that its thread is pinned to.
    pub cpu: Option<usize>,
    /// The driver that it runs.
    pub driver: ActiveDriver,
}

/// The configuration of a worker thread.
pub(super) struct WorkerConfig {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    pub(super) driver: Driver,
    pub(super) listeners: Vec<Arc<ListeningSocket>>,
    /// The descriptors of connections stay below it.
    pub(super) descriptor_bound: RawFd,
    pub(super) acceptor: Arc<CurrentAcceptor>,
    pub(super) options: Arc<CurrentOptions>,
    pub(super) counters: Arc<Counters>,
    pub(super) heartbeat: Arc<Heartbeat>,
    /// Cancelled when all workers are proved and all listeners listen.
    pub(super) listening: CancellationToken,
    pub(super) stop: Shutdown,
    /// Entered for the whole life of the worker.
    pub(super) tokio: Option<Arc<TokioRuntime>>,
}

/// A worker that can serve.
pub(super) struct Started {
    pub(super) info: WorkerInfo,
    /// Why it does not run io_uring, although it may.
    pub(super) refusal: Option<Refusal>,
}

/// How a worker reports its start. Each sender is dropped after its report, so that the receiver
/// notices a worker that has stopped without one.
#[derive(Clone)]
pub(super) struct Reports {
    /// The runtime works and the service is made, or why not.
    pub(super) proved: mpsc::Sender<Result<Started, Error>>,
    /// The worker accepts connections, or why it cannot.
    pub(super) accepting: mpsc::Sender<Result<(), Error>>,
}

/// The body of a worker's thread. Returns when all connections of the worker have ended.
pub(super) fn run<S: HttpService>(
    config: WorkerConfig,
    factory: &dyn Fn(WorkerInfo) -> S,
    reports: Reports,
) {
    // A send fails only after the server has given up its start; it then cancels `config.stop`.
    let Reports { proved, accepting } = reports;
    let tokio = config.tokio.clone();
    let _entered = tokio.as_ref().map(|tokio| tokio.enter());
    let (mut runtime, started) = match start_runtime(&config) {
        Ok(started) => started,
        Err(error) => return drop(proved.send(Err(error))),
    };
    runtime.block_on(async {
        let service = match make_service(started.info, factory) {
            Ok(service) => service,
            Err(error) => return drop(proved.send(Err(error))),
        };
        let _ = proved.send(Ok(started));
        drop(proved);
        let (listening, given_up) = (config.listening.clone(), config.stop.drain.clone());
        let listening = pin!(listening.cancelled());
        let given_up = pin!(given_up.cancelled());
        if let Either::Right(_) = select(listening, given_up).await {
            return;
        }
        match Worker::start(config, service) {
            Ok(worker) => {
                let _ = accepting.send(Ok(()));
                drop(accepting);
                worker.serve().await;
            }
            Err(error) => drop(accepting.send(Err(error))),
        }
    });
}

fn start_runtime(config: &WorkerConfig) -> Result<(Runtime, Started), Error> {
    let &WorkerConfig {
        index, cpu, driver, ..
    } = config;
    if let Some(cpu) = cpu
        && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
    {
        return Err(Error::new(
            Kind::Worker,
            format!("worker {index} cannot be pinned to CPU {cpu}"),
        ));
    }
    let (runtime, refusal) = Runtime::new(driver)?;
    let info = WorkerInfo {
        index,
        cpu,
        driver: runtime.driver(),
    };
    Ok((runtime, Started { info, refusal }))
}

/// Runs the user's factory, inside the runtime. A panic in it is an error of the start.
fn make_service<S: HttpService>(
    info: WorkerInfo,
    factory: &dyn Fn(WorkerInfo) -> S,
) -> Result<S, Error> {
    catch_unwind(AssertUnwindSafe(|| factory(info))).map_err(|panic| {
        let message = format!(
            "the service factory panicked for worker {}: {}",
            info.index,
            panic_message(&*panic)
        );
        Error::new(Kind::Worker, message)
    })
}

/// A worker whose service and listeners are ready.
struct StartedWorker<S: HttpService> {
    worker: Rc<Worker<S>>,
    listeners: Vec<AcceptLoop>,
}

struct Worker<S: HttpService> {
    handler: ConnectionHandler<'static, S>,
    options: WorkerOptions,
    connections: TaskTracker,
    /// Connections over the limit.
    refused: LogRateLimiter,
    /// Connections that had not ended by the shutdown deadline.
    cut_off: Cell<usize>,
    heartbeat: Arc<Heartbeat>,
    stop: Shutdown,
    /// `stop.drain` and `stop.abort` for the connections of this thread.
    drain: LocalShutdown,
    abort: LocalShutdown,
    /// All connections have ended.
    ended: Rc<LocalShutdown>,
}

impl<S: HttpService> Worker<S> {
    /// Adopts the listeners. This has to happen inside the runtime.
    fn start(config: WorkerConfig, service: S) -> Result<StartedWorker<S>, Error> {
        let listeners = config.listeners.into_iter();
        let listeners = listeners
            .map(|listener| AcceptLoop::new(listener, config.descriptor_bound))
            .collect::<std::io::Result<_>>()
            .map_err(|error| {
                Error::new(Kind::Worker, "a listener cannot be used").with_source(error)
            })?;
        let service = WorkerService::new(service);
        let options = WorkerOptions::new(config.options);
        let connection_options = options.connection();
        let handler = ConnectionHandler {
            acceptor: AcceptorSource::Current(config.acceptor),
            handshakes: HandshakeLimiter::new(
                options.limits().handshakes,
                connection_options.limits.handshake,
                &config.counters,
                service.yield_queue(),
            ),
            counters: config.counters,
            service,
            worker: config.index,
        };
        let worker = Rc::new(Self {
            handler,
            options,
            connections: TaskTracker::default(),
            refused: LogRateLimiter::default(),
            cut_off: Cell::default(),
            heartbeat: config.heartbeat,
            stop: config.stop,
            drain: LocalShutdown::default(),
            abort: LocalShutdown::default(),
            ended: Rc::default(),
        });
        Ok(StartedWorker { worker, listeners })
    }
}

impl<S: HttpService> StartedWorker<S> {
    /// Accepts and serves connections until the server shuts down and all of them have ended.
    async fn serve(self) {
        let Self { worker, listeners } = self;
        let (yields, drain, abort) = (
            worker.handler.service.yield_queue(),
            Rc::clone(&worker),
            Rc::clone(&worker),
        );
        let heartbeat = Arc::clone(&worker.heartbeat);
        let background = [
            worker.spawn_until_end(async move { heartbeat.run().await }),
            worker.spawn_until_end(async move { yields.run(TIMER).await }),
            worker.spawn_until_end(async move {
                drain.stop.drain.cancelled().await;
                drain.drain.shut_down();
            }),
            worker.spawn_until_end(async move {
                abort.stop.abort.cancelled().await;
                abort.abort.shut_down();
            }),
        ];
        let listeners: Vec<_> = listeners
            .into_iter()
            .map(|listener| monoio::spawn(Rc::clone(&worker).accept(listener)))
            .collect();
        for listener in listeners {
            listener.await;
        }
        worker.connections.wait().await;
        worker.ended.shut_down();
        for task in background {
            task.await;
        }
        worker.heartbeat.end();
        let index = worker.handler.worker;
        let cut_off = worker.cut_off.get();
        if cut_off > 0 {
            tracing::warn!(
                worker = index,
                connections = cut_off,
                "connections were dropped because they had not ended by the shutdown deadline"
            );
        }
        let counters = worker.handler.counters.read();
        tracing::info!(worker = index, ?counters, "worker ended");
    }
}

impl<S: HttpService> Worker<S> {
    /// Spawns a task that ends with the worker. The runtime never drops an unfinished task, nor the
    /// values that the task holds, such as the service.
    fn spawn_until_end(&self, future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        let ended = Rc::clone(&self.ended);
        monoio::spawn(async move {
            select(pin!(future), ended.wait()).await;
        })
    }

    async fn accept(self: Rc<Self>, listener: AcceptLoop) {
        let counters = &self.handler.counters;
        let on_accept = |accepted| self.on_accept(accepted);
        let drain = self.stop.drain.cancelled();
        listener.accept_until(drain, counters, on_accept).await;
        match self.stop.skip_accept_backlog.load(Ordering::Relaxed) {
            true => listener.hand_over(),
            false => listener.accept_backlog(counters, on_accept),
        }
    }

    fn on_accept(self: &Rc<Self>, accepted: Accepted) {
        if self.options.refresh() {
            let (limits, options) = (self.options.limits(), self.options.connection());
            let handshakes = &self.handler.handshakes;
            handshakes.set_limits(limits.handshakes, options.limits.handshake);
        }
        let limit = self.options.limits().connections;
        let counters = &self.handler.counters;
        if self.connections.len() >= limit.get() {
            counters.connections_refused.add();
            if let Some(times) = self.refused.occurred() {
                tracing::warn!(limit, times, "too many connections: closing new ones");
            }
            return;
        }
        let peer = accepted.peer_addr();
        match accepted.into_stream() {
            Ok(stream) => self.spawn_connection(stream, peer),
            Err(error) => {
                counters.accept_errors.add();
                let peer = display_addr(peer);
                tracing::warn!(%error, %peer, "an accepted connection cannot be used");
            }
        }
    }

    fn spawn_connection(self: &Rc<Self>, stream: Stream, peer: Option<SocketAddr>) {
        self.handler.counters.connections_accepted.add();
        self.connections.task_started();
        let this = Rc::clone(self);
        monoio::spawn(async move {
            let counters = &this.handler.counters;
            // A panic that the guard around handlers does not catch ends this connection only.
            let connection = AssertUnwindSafe(this.connection(stream, peer)).catch_unwind();
            if let Err(panic) = connection.await {
                counters.connection_panics.add();
                let (peer, panic) = (display_addr(peer), panic_message(&*panic));
                tracing::error!(%peer, panic, "a connection panicked");
            }
            counters.connections_closed.add();
            this.connections.task_ended();
        });
    }

    async fn connection(&self, stream: Stream, peer: Option<SocketAddr>) {
        let options = self.options.connection();
        let handle = self
            .handler
            .handle(stream, peer, &options, self.drain.wait());
        if let Either::Right(_) = select(pin!(handle), self.abort.wait()).await {
            self.cut_off.set(self.cut_off.get() + 1);
            let peer = display_addr(peer);
            tracing::debug!(%peer, "connection dropped: the shutdown deadline has passed");
        }
    }
}
