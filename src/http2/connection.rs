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
    flood::{Flood, Resets, note_flood},
    in_flight::InFlight,
    keep_alive::KeepAlive,
    lazy_flush::{Flusher, LazyFlush, lazy_flush},
    respond::Respond,
    scope::{Responder, Scope},
    send::Chunk,
    throttle::Passage,
    turn::{Turn, Turns},
};
use crate::{
    config::{self, Http2Config},
    error::{Error, Kind},
    service::HttpService,
    time::{Deadline, Sleep},
};

/// A connection whose preface has been exchanged.
pub(crate) struct Connection<IO> {
    h2: h2::server::Connection<LazyFlush<IO>, Chunk>,
    flusher: Flusher<IO>,
    resets: Resets,
    turns: Turns,
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
    let mut turns = Turns::new();
    let (io, flusher) = lazy_flush(io, turns.turn(), config);
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
        let (result, woken) = turns.take(task, |cx, turn| {
            turn.take_woken();
            let result = Pin::new(&mut handshake).poll(cx).map_err(Error::from);
            if result.is_pending()
                && let Poll::Ready(Err(error)) = flusher.poll(cx)
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
        flusher,
        resets: Resets::new(config),
        turns,
    })
}

/// Serves a connection until it ends. When `shutdown` is ready the peer is told to go elsewhere
/// (GOAWAY, RFC 9113 section 6.8) and what it has asked for by then is answered; its first request it
/// has some time for.
///
/// Not an `async fn`, which would hold the connection twice for as long as it is idle.
pub(crate) fn serve<IO, S>(
    connection: Connection<IO>,
    responder: &Responder<S>,
    scope: Rc<Scope>,
    shutdown: impl Future<Output = ()> + Unpin,
) -> impl Future<Output = Result<Closed, Error>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    let Connection {
        mut h2,
        flusher,
        resets,
        mut turns,
    } = connection;
    let keep_alive = KeepAlive::new(h2.ping_pong(), &scope.limits, scope.timer).map(Box::new);
    let idle = Deadline::new(scope.timer, scope.limits.idle);
    let mut serving = Serving {
        h2,
        flusher,
        pause: None,
        held_back: false,
        resets,
        flood: None,
        service: responder.service.clone(),
        shutdown,
        closed: Closed::ByPeer,
        asked: false,
        leaving: None,
        in_flight: InFlight::new(turns.turn(), Rc::clone(&responder.pool)),
        stage: Stage::Receive,
        idle,
        keep_alive,
        scope,
    };
    let later = responder.later();
    poll_fn(move |cx| {
        let task = cx.waker();
        let (result, woken) = turns.take(task, |cx, turn| serving.poll(cx, turn));
        if result.is_pending() && (woken || serving.stage != Stage::Receive) {
            later.wake(task);
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
enum Stage {
    /// Takes requests, and lets handlers answer.
    Receive,
    /// Writes what they have answered.
    Write,
    /// Hands it to the socket.
    Send,
}

/// How often a connection that does not make way looks, in one turn, at what it has woken by itself:
/// what it answered in one round is written in the next, and all of it sent then.
const ROUNDS: usize = 2;

/// Bytes up to which a connection makes way before it sends. More would be gone from the cache by
/// the time the others have written theirs.
const SMALL: usize = 4096;

struct Serving<IO, S: HttpService, Shutdown> {
    h2: h2::server::Connection<LazyFlush<IO>, Chunk>,
    flusher: Flusher<IO>,
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
    in_flight: InFlight<Respond<S>>,
    stage: Stage,
    idle: Deadline,
    keep_alive: Option<Box<KeepAlive>>,
    scope: Rc<Scope>,
}

impl<IO, S, Shutdown> Serving<IO, S, Shutdown>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
    Shutdown: Future<Output = ()> + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>, turn: &Turn) -> Poll<Result<Closed, Error>> {
        loop {
            if self.stage != Stage::Send {
                if let Some(result) = self.exchange(cx, turn) {
                    return Poll::Ready(result);
                }
                if self.stage != Stage::Receive {
                    return Poll::Pending;
                }
            }
            self.stage = Stage::Receive;
            if let Poll::Ready(Err(error)) = self.flusher.poll(cx) {
                return Poll::Ready(self.failed(error.into()));
            }
            if let Some(keep_alive) = &mut self.keep_alive {
                let streams_open = !self.in_flight.is_empty();
                if keep_alive
                    .poll(cx, self.flusher.received(), streams_open)
                    .is_ready()
                {
                    self.scope.counters.keep_alive_timeouts.add();
                    let limit = self.scope.limits.keep_alive_timeout;
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
                let limit = self.scope.limits.write;
                return Poll::Ready(Err(Error::timeout("the peer's answer to GOAWAY", limit)));
            }
            self.say_goodbye(Closed::Idle);
        }
    }

    /// Lets h2 read and write, and handlers answer. If the connection goes on, `stage` tells whether
    /// it makes way for others now.
    fn exchange(&mut self, cx: &mut Context<'_>, turn: &Turn) -> Option<Result<Closed, Error>> {
        let mut has_new = false;
        let mut rounds = 1;
        loop {
            // Everything is looked at from here on, the shutdown too, whatever was woken.
            turn.take_woken();
            if self.leaving.is_none() && Pin::new(&mut self.shutdown).poll(cx).is_ready() {
                let wait = Deadline::new(self.scope.timer, config::FIRST_REQUEST);
                self.leaving = Some(Box::new(wait));
            }
            // Everything that has arrived is accepted before anything is answered, so that the
            // answers leave together.
            while let Poll::Ready(accepted) = self.h2.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, sender))) => {
                        has_new = true;
                        self.scope.counters.requests.add();
                        self.scope.tally.request();
                        self.asked = true;
                        let scope = Rc::clone(&self.scope);
                        let service = self.service.clone();
                        self.in_flight
                            .push(Respond::new(service, request, sender, scope));
                        self.idle.progress();
                    }
                    Some(Err(error)) => {
                        note_flood(&error, &self.scope);
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
                let flood = match self.poll_passage(cx) {
                    Passage::Reopened => continue,
                    Passage::Flood => Some(Flood::Frames),
                    Passage::Open | Passage::HandlersFirst | Passage::Closed(_) => {
                        self.early_resets()
                    }
                };
                if let Some(flood) = flood {
                    self.refuse(flood);
                    continue;
                }
            }
            self.in_flight.poll();
            if self.stage == Stage::Write {
                self.stage = match self.flusher.written() <= SMALL {
                    true => Stage::Send,
                    false => Stage::Receive,
                };
            } else if rounds < ROUNDS && turn.take_woken() {
                if !has_new {
                    rounds += 1;
                    continue;
                }
                self.stage = Stage::Write;
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
    fn poll_passage(&mut self, cx: &mut Context<'_>) -> Passage {
        let timer = self.scope.timer;
        loop {
            let accounted = self.scope.tally.accounted.take();
            let passage = self.flusher.look(accounted, timer.now);
            let Passage::Closed(wait) = passage else {
                self.pause = None;
                return passage;
            };
            if !std::mem::replace(&mut self.held_back, true) {
                self.scope.counters.connections_held_back.add();
                tracing::debug!(peer = %self.scope.info.peer_addr, "a peer is held back");
            }
            let pause = self.pause.get_or_insert_with(|| (timer.sleep)(wait));
            if pause.as_mut().poll(cx).is_pending() {
                return passage;
            }
            self.pause = None;
        }
    }

    fn early_resets(&mut self) -> Option<Flood> {
        let too_many = self.resets.are_too_many(&self.scope.tally);
        too_many.then_some(Flood::Resets)
    }

    fn say_goodbye(&mut self, why: Closed) {
        self.closed = why;
        self.h2.graceful_shutdown();
        self.idle = Deadline::new(self.scope.timer, self.scope.limits.write);
    }

    /// Told once for each connection.
    fn refuse(&mut self, flood: Flood) {
        flood.tell(&self.scope);
        self.flood = Some(flood);
        self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.idle = Deadline::new(self.scope.timer, self.scope.limits.write);
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
