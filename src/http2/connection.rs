//! Drives one connection: polls h2 and, in the same task, the requests in flight.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    context::ConnectionContext,
    flood_guard::{Flood, Resets, note_flood},
    in_flight::InFlight,
    keep_alive::KeepAlive,
    request::RequestTask,
    send::Chunk,
    throttle::ThrottleState,
    transport::{Transport, TransportHandle, transport},
    worker_service::WorkerService,
};
use crate::{
    config::{self, Http2Config},
    error::{Error, Kind},
    schedule::{PollGuard, Wakeups},
    service::HttpService,
    time::{Deadline, Sleep},
};

/// A connection whose preface has been exchanged.
pub(crate) struct Connection<IO> {
    h2: h2::server::Connection<Transport<IO>, Chunk>,
    transport: TransportHandle<IO>,
    resets: Resets,
    guard: PollGuard,
}

/// Why a connection ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    ByPeer,
    Idle,
    Shutdown,
}

/// Exchanges the preface (RFC 9113 section 3.4).
pub(crate) async fn preface<IO>(io: IO, config: &Http2Config) -> Result<Connection<IO>, Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut guard = PollGuard::new();
    let (io, transport) = transport(io, guard.wakeups(), config);
    let mut handshake = h2::server::Builder::new()
        .initial_window_size(config.initial_stream_window_size)
        .initial_connection_window_size(config.initial_connection_window_size)
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_header_list_size(config.max_header_list_size)
        .max_frame_size(config.max_frame_size)
        .max_send_buffer_size(config.max_send_buffer_size)
        .max_pending_accept_reset_streams(config.max_pending_accept_resets())
        .max_local_error_reset_streams(Some(config::MAX_ERROR_RESETS))
        .max_concurrent_reset_streams(config::MAX_RESET_STREAMS)
        .data_frame_budget(config.small_frames_budget())
        .handshake(io);
    let h2 = poll_fn(|cx| {
        let task = cx.waker();
        let (result, woken) = guard.run(task, |cx, wakeups| {
            wakeups.take_woken();
            let result = Pin::new(&mut handshake).poll(cx).map_err(Error::from);
            if result.is_pending()
                && let Poll::Ready(Err(error)) = transport.poll(cx)
            {
                return Poll::Ready(Err(error.into()));
            }
            result
        });
        if woken {
            task.wake_by_ref();
        }
        result
    })
    .await?;
    Ok(Connection {
        h2,
        transport,
        resets: Resets::new(config),
        guard,
    })
}

/// Serves a connection until it ends. When `shutdown` is ready the peer is told to go elsewhere
/// (GOAWAY, RFC 9113 section 6.8) and what it has asked for by then is answered; its first request it
/// has some time for.
///
/// Not an `async fn`, which would hold the connection twice for as long as it is idle.
pub(crate) fn serve<IO, S>(
    connection: Connection<IO>,
    service: &WorkerService<S>,
    context: Rc<ConnectionContext>,
    shutdown: impl Future<Output = ()> + Unpin,
) -> impl Future<Output = Result<Closed, Error>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    let Connection {
        mut h2,
        transport,
        resets,
        mut guard,
    } = connection;
    let keep_alive = KeepAlive::new(h2.ping_pong(), &context.limits, context.timer).map(Box::new);
    let idle = Deadline::new(context.timer, context.limits.idle);
    let mut serving = Serving {
        h2,
        transport,
        pause: None,
        held_back: false,
        resets,
        flood: None,
        service: service.service.clone(),
        shutdown,
        closed: Closed::ByPeer,
        asked: false,
        leaving: None,
        in_flight: InFlight::new(guard.wakeups(), Rc::clone(&service.pool)),
        phase: Phase::Receive,
        idle,
        keep_alive,
        context,
    };
    let yields = service.yield_queue();
    poll_fn(move |cx| {
        let task = cx.waker();
        let (result, woken) = guard.run(task, |cx, wakeups| serving.poll(cx, wakeups));
        if result.is_pending() && (woken || serving.phase != Phase::Receive) {
            yields.wake(task);
        }
        result
    })
}

/// What a connection does next.
///
/// Those of a worker that have new requests go through this together, each making way for the
/// others in between. A small request runs through more code than a core's first cache holds:
/// alone, each connection would find nothing there of what the one before it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes requests, and lets handlers answer.
    Receive,
    /// Writes what they have answered.
    Write,
    /// Hands it to the socket.
    Send,
}

/// How often a connection that does not make way looks, in one wakeups, at what it has woken by itself:
/// what it answered in one round is written in the next, and all of it sent then.
const ROUNDS: usize = 2;

/// Bytes up to which a connection makes way before it sends. More would be gone from the cache by
/// the time the others have written theirs.
const SMALL: usize = 4096;

struct Serving<IO, S: HttpService, Shutdown> {
    h2: h2::server::Connection<Transport<IO>, Chunk>,
    transport: TransportHandle<IO>,
    /// For as long nothing is read.
    pause: Option<Sleep>,
    /// It has been so at least once.
    held_back: bool,
    resets: Resets,
    /// What this connection is being ended for.
    flood: Option<Flood>,
    service: S,
    shutdown: Shutdown,
    closed: Closed,
    /// Whether there has been a request.
    asked: bool,
    /// There from the moment of the shutdown on: the wait for the first request.
    leaving: Option<Box<Deadline>>,
    in_flight: InFlight<RequestTask<S>>,
    phase: Phase,
    idle: Deadline,
    keep_alive: Option<Box<KeepAlive>>,
    context: Rc<ConnectionContext>,
}

impl<IO, S, Shutdown> Serving<IO, S, Shutdown>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
    Shutdown: Future<Output = ()> + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>, wakeups: &Wakeups) -> Poll<Result<Closed, Error>> {
        loop {
            if self.phase != Phase::Send {
                if let Some(result) = self.exchange(cx, wakeups) {
                    return Poll::Ready(result);
                }
                if self.phase != Phase::Receive {
                    return Poll::Pending;
                }
            }
            self.phase = Phase::Receive;
            if let Poll::Ready(Err(error)) = self.transport.poll(cx) {
                return Poll::Ready(self.failed(error.into()));
            }
            if let Some(keep_alive) = &mut self.keep_alive {
                let streams_open = !self.in_flight.is_empty();
                if keep_alive
                    .poll(cx, self.transport.received(), streams_open)
                    .is_ready()
                {
                    self.context.counters.keep_alive_timeouts.add();
                    let limit = self.context.limits.keep_alive_timeout;
                    return Poll::Ready(Err(Error::timeout("the answer to a PING", limit)));
                }
            }
            if self.flood.is_none() && !self.in_flight.is_empty() {
                return Poll::Pending;
            }
            self.in_flight.shrink();
            if self.idle.poll_waiting(cx).is_pending() {
                return Poll::Pending;
            }
            if self.flood.is_some() {
                return Poll::Ready(self.ended());
            }
            if self.closed != Closed::ByPeer {
                let limit = self.context.limits.write;
                return Poll::Ready(Err(Error::timeout("the peer's answer to GOAWAY", limit)));
            }
            self.say_goodbye(Closed::Idle);
        }
    }

    /// Lets h2 read and write, and handlers answer. If the connection goes on, `phase` tells whether
    /// it makes way for others now.
    fn exchange(
        &mut self,
        cx: &mut Context<'_>,
        wakeups: &Wakeups,
    ) -> Option<Result<Closed, Error>> {
        let mut has_new = false;
        let mut rounds = 1;
        loop {
            // Everything is looked at from here on, the shutdown too, whatever was woken.
            wakeups.take_woken();
            if self.leaving.is_none() && Pin::new(&mut self.shutdown).poll(cx).is_ready() {
                let wait = Deadline::new(self.context.timer, config::FIRST_REQUEST);
                self.leaving = Some(Box::new(wait));
            }
            // Everything that has arrived is accepted before anything is answered, so that the
            // answers leave together.
            while let Poll::Ready(accepted) = self.h2.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, sender))) => {
                        has_new = true;
                        self.context.counters.requests.add();
                        self.context.credits.request();
                        self.asked = true;
                        let context = Rc::clone(&self.context);
                        let service = self.service.clone();
                        self.in_flight
                            .push(RequestTask::new(service, request, sender, context));
                        self.idle.progress();
                    }
                    Some(Err(error)) => {
                        note_flood(&error, &self.context);
                        return Some(self.failed(error.into()));
                    }
                    None => return Some(self.ended()),
                }
            }
            if self.is_to_leave(cx) {
                self.say_goodbye(Closed::Shutdown);
                continue;
            }
            if self.flood.is_none() {
                let flood = match self.poll_throttle(cx) {
                    ThrottleState::Reopened => continue,
                    ThrottleState::Flood => Some(Flood::Frames),
                    ThrottleState::Open
                    | ThrottleState::HandlersFirst
                    | ThrottleState::Closed(_) => self.early_resets(),
                };
                if let Some(flood) = flood {
                    self.refuse(flood);
                    continue;
                }
            }
            self.in_flight.poll();
            if self.phase == Phase::Write {
                self.phase = match self.transport.written() <= SMALL {
                    true => Phase::Send,
                    false => Phase::Receive,
                };
            } else if rounds < ROUNDS && wakeups.take_woken() {
                if !has_new {
                    rounds += 1;
                    continue;
                }
                self.phase = Phase::Write;
            }
            return None;
        }
    }

    /// Whether it is time for a goodbye that has not been said yet.
    fn is_to_leave(&mut self, cx: &mut Context<'_>) -> bool {
        self.closed == Closed::ByPeer
            && self
                .leaving
                .as_mut()
                .is_some_and(|wait| self.asked || wait.poll_waiting(cx).is_ready())
    }

    /// Whether frames pass; where they do not, this task is woken when they may. All else goes on.
    fn poll_throttle(&mut self, cx: &mut Context<'_>) -> ThrottleState {
        let timer = self.context.timer;
        loop {
            let accounted = self.context.credits.accounted.take();
            let state = self.transport.look(accounted, timer.now);
            let ThrottleState::Closed(wait) = state else {
                self.pause = None;
                return state;
            };
            if !std::mem::replace(&mut self.held_back, true) {
                self.context.counters.connections_held_back.add();
                tracing::debug!(peer = %self.context.info.peer_addr, "a peer is held back");
            }
            let pause = self.pause.get_or_insert_with(|| (timer.sleep)(wait));
            if pause.as_mut().poll(cx).is_pending() {
                return state;
            }
            self.pause = None;
        }
    }

    fn early_resets(&mut self) -> Option<Flood> {
        let too_many = self.resets.are_too_many(&self.context.credits);
        too_many.then_some(Flood::Resets)
    }

    fn say_goodbye(&mut self, why: Closed) {
        self.closed = why;
        self.h2.graceful_shutdown();
        self.idle = Deadline::new(self.context.timer, self.context.limits.write);
    }

    /// Told once for each connection.
    fn refuse(&mut self, flood: Flood) {
        flood.tell(&self.context);
        self.flood = Some(flood);
        self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.idle = Deadline::new(self.context.timer, self.context.limits.write);
    }

    fn ended(&self) -> Result<Closed, Error> {
        match self.flood {
            None => Ok(self.closed),
            Some(flood) => Err(Error::new(Kind::Http2, flood.to_string())),
        }
    }

    /// What an error means: a peer that was told to go and went may not have said goodbye.
    fn failed(&self, error: Error) -> Result<Closed, Error> {
        let left = error.is_io() || error.is_truncated();
        match self.closed {
            Closed::Idle | Closed::Shutdown if self.in_flight.is_empty() && left => Ok(self.closed),
            _ => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
