//! One core's share of the server.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    net::{self, SocketAddr, TcpListener},
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use monoio::{net::TcpStream, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    accept_loop::AcceptLoop,
    connection::{Acceptor, ConnectionOptions, Setup, TIMER},
    current_acceptor::CurrentAcceptor,
    handshake_limiter::HandshakeLimiter,
    local_shutdown::LocalShutdown,
    log_rate_limiter::LogRateLimiter,
    runtime::{ActiveDriver, Driver, Runtime},
};
use crate::{
    counters::Counters,
    error::{Error, Kind, panic_message},
    http2::WorkerService,
    service::HttpService,
};

/// A worker, as the service factory and [`Handle::workers`](crate::Handle::workers) see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Counted from 0.
    pub index: usize,
    /// The CPU that its thread is pinned to.
    pub cpu: Option<usize>,
    /// What it runs on.
    pub driver: ActiveDriver,
}

/// What a worker thread starts with.
pub(super) struct WorkerConfig {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    pub(super) driver: Driver,
    pub(super) listeners: Vec<Arc<TcpListener>>,
    pub(super) acceptor: Arc<CurrentAcceptor>,
    pub(super) limits: WorkerLimits,
    pub(super) options: ConnectionOptions,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Stop,
}

/// What one worker takes on at once.
#[derive(Clone, Copy)]
pub(super) struct WorkerLimits {
    pub(super) connections: NonZeroUsize,
    pub(super) handshakes: NonZeroUsize,
}

/// How workers are told to end.
#[derive(Clone, Default)]
pub(super) struct Stop {
    /// Accept no more, tell the peers, answer what was asked.
    pub(super) drain: CancellationToken,
    /// Drop what is left.
    pub(super) abort: CancellationToken,
    /// Set before `drain`: what waits to be accepted by then is somebody else's.
    pub(super) skip_accept_backlog: Arc<AtomicBool>,
}

impl Stop {
    /// One of its own per worker, so that connections of different cores do not meet at one lock.
    pub(super) fn child(&self) -> Self {
        Self {
            drain: self.drain.child_token(),
            abort: self.abort.child_token(),
            skip_accept_backlog: Arc::clone(&self.skip_accept_backlog),
        }
    }
}

/// The body of a worker's thread. Tells through `started` when it is ready to accept, or why it
/// will never be; returns when all its connections have ended.
pub(super) fn run<S: HttpService>(
    plan: WorkerConfig,
    factory: &dyn Fn(WorkerInfo) -> S,
    started: &mpsc::Sender<Result<WorkerInfo, Error>>,
) {
    let mut plan = plan;
    let result = start(&mut plan, factory);
    let (mut runtime, service, info) = match result {
        Ok(ready) => ready,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async move {
        let listeners = match adopt(std::mem::take(&mut plan.listeners)) {
            Ok(listeners) => listeners,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let _ = started.send(Ok(info));
        Worker {
            handshakes: HandshakeLimiter::new(plan.limits.handshakes),
            refused: LogRateLimiter::default(),
            plan,
            service: WorkerService::new(service),
            live: TaskTracker::default(),
            drain: LocalShutdown::default(),
            abort: LocalShutdown::default(),
            over: Rc::default(),
        }
        .serve(listeners)
        .await;
    });
}

type StartedWorker<S> = (Runtime, S, WorkerInfo);

fn start<S: HttpService>(
    plan: &mut WorkerConfig,
    factory: &dyn Fn(WorkerInfo) -> S,
) -> Result<StartedWorker<S>, Error> {
    if let Some(cpu) = plan.cpu
        && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
    {
        return Err(Error::new(
            Kind::Worker,
            format!("worker {} cannot be pinned to CPU {cpu}", plan.index),
        ));
    }
    let runtime = Runtime::new(plan.driver)?;
    let info = WorkerInfo {
        index: plan.index,
        cpu: plan.cpu,
        driver: runtime.driver(),
    };
    let service = catch_unwind(AssertUnwindSafe(|| factory(info))).map_err(|panic| {
        Error::new(
            Kind::Worker,
            format!(
                "the service factory panicked for worker {}: {}",
                plan.index,
                panic_message(&*panic)
            ),
        )
    })?;
    Ok((runtime, service, info))
}

fn adopt(listeners: Vec<Arc<TcpListener>>) -> Result<Vec<AcceptLoop>, Error> {
    listeners
        .into_iter()
        .map(AcceptLoop::new)
        .collect::<std::io::Result<_>>()
        .map_err(|error| Error::new(Kind::Worker, "a listener cannot be used").with(error))
}

struct Worker<S: HttpService> {
    plan: WorkerConfig,
    service: WorkerService<S>,
    live: TaskTracker,
    /// `plan.stop`, as its connections are told of it.
    drain: LocalShutdown,
    abort: LocalShutdown,
    /// All connections have ended.
    over: Rc<LocalShutdown>,
    handshakes: HandshakeLimiter,
    refused: LogRateLimiter,
}

impl<S: HttpService> Worker<S> {
    async fn serve(self, listeners: Vec<AcceptLoop>) {
        let this = Rc::new(self);
        let (yields, drain, abort) = (
            this.service.yield_queue(),
            Rc::clone(&this),
            Rc::clone(&this),
        );
        let beside = [
            this.beside(async move { yields.run(TIMER).await }),
            this.beside(async move {
                drain.plan.stop.drain.cancelled().await;
                drain.drain.set();
            }),
            this.beside(async move {
                abort.plan.stop.abort.cancelled().await;
                abort.abort.set();
            }),
        ];
        let tasks: Vec<_> = listeners
            .into_iter()
            .map(|listener| monoio::spawn(Rc::clone(&this).listen(listener)))
            .collect();
        for task in tasks {
            task.await;
        }
        this.live.all_closed().await;
        this.over.set();
        for task in beside {
            task.await;
        }
        let cut_off = this.live.cut_off.get();
        if cut_off > 0 {
            tracing::warn!(
                worker = this.plan.index,
                connections = cut_off,
                "connections were cut off: they had not ended by the shutdown deadline"
            );
        }
        let WorkerConfig {
            index, counters, ..
        } = &this.plan;
        tracing::info!(worker = index, counters = ?counters.read(), "worker ended");
    }

    /// A task that ends with the worker: the runtime would forget it, and never drop what it holds,
    /// the service among it.
    fn beside(&self, future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        let over = Rc::clone(&self.over);
        monoio::spawn(async move {
            select(pin!(future), over.wait()).await;
        })
    }

    async fn listen(self: Rc<Self>, listener: AcceptLoop) {
        let stop = &self.plan.stop;
        let counters = &self.plan.counters;
        let connection = |stream, peer| self.accepted(stream, peer);
        let drain = stop.drain.cancelled();
        listener.accept_until(drain, counters, connection).await;
        if !stop.skip_accept_backlog.load(Ordering::Relaxed) {
            listener.accept_rest(counters, connection);
        }
    }

    fn accepted(self: &Rc<Self>, stream: net::TcpStream, peer: SocketAddr) {
        let limit = self.plan.limits.connections;
        if self.live.count.get() >= limit.get() {
            self.plan.counters.connections_refused.add();
            if let Some(times) = self.refused.happened() {
                tracing::warn!(limit, times, "too many connections, new ones are closed");
            }
            return;
        }
        // The ring waits by itself, and who does not want to wait says so by each call.
        let nonblocking = match monoio::utils::is_legacy() {
            true => stream.set_nonblocking(true),
            false => Ok(()),
        };
        let stream = nonblocking.and_then(|()| TcpStream::from_std(stream));
        match stream {
            Ok(stream) => self.spawn(stream, peer),
            Err(error) => {
                self.plan.counters.accept_errors.add();
                tracing::warn!(%error, %peer, "an accepted connection cannot be used");
            }
        }
    }

    fn spawn(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        self.plan.counters.connections_accepted.add();
        self.live.opened();
        let this = Rc::clone(self);
        monoio::spawn(async move {
            // A panic that got past the guards around handlers ends this connection only.
            let connection = AssertUnwindSafe(this.connection(stream, peer)).catch_unwind();
            if let Err(panic) = connection.await {
                this.plan.counters.connection_panics.add();
                tracing::error!(%peer, panic = panic_message(&*panic), "a connection panicked");
            }
            this.plan.counters.connections_closed.add();
            this.live.closed();
        });
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        let setup = Setup {
            acceptor: Acceptor::Current(&self.plan.acceptor),
            options: &self.plan.options,
            counters: &self.plan.counters,
            handshakes: Some(&self.handshakes),
            worker: self.plan.index,
        };
        let serve = setup.run(stream, peer, &self.service, self.drain.wait());
        if let Either::Right(_) = select(pin!(serve), self.abort.wait()).await {
            self.live.cut_off();
            tracing::debug!(%peer, "connection dropped: the shutdown deadline has passed");
        }
    }
}

/// The connections of a worker that are open.
#[derive(Default)]
struct TaskTracker {
    count: Cell<usize>,
    /// Of those that have ended.
    cut_off: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

impl TaskTracker {
    fn opened(&self) {
        self.count.set(self.count.get() + 1);
    }

    fn closed(&self) {
        self.count.set(self.count.get() - 1);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn cut_off(&self) {
        self.cut_off.set(self.cut_off.get() + 1);
    }

    fn all_closed(&self) -> impl Future<Output = ()> {
        poll_fn(|cx: &mut Context<'_>| {
            if self.count.get() == 0 {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}
