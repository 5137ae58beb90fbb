//! Drives one connection: polls h2 and, in the same task, the requests in flight.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    flood::{Flood, FloodGate, Tally},
    headers::ContentLength,
    lazy_flush::{Flusher, LazyFlush, lazy_flush},
    respond::Respond,
    send::{Chunk, SendBuffer},
};
use crate::{
    config::{self, Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    error::{Error, Kind},
    service::HttpService,
    time::{Deadline, Timer},
};

/// A connection whose preface has been exchanged.
pub(crate) struct Connection<IO> {
    h2: h2::server::Connection<LazyFlush<IO>, Chunk>,
    flusher: Flusher<IO>,
    gate: FloodGate,
}

/// What the requests of a connection share.
pub(crate) struct Scope {
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) counters: Arc<Counters>,
    pub(super) send_buffer: Rc<SendBuffer>,
    pub(super) content_length: ContentLength,
    pub(super) tally: Tally,
}

impl Scope {
    pub(crate) fn new(
        info: ConnectionInfo,
        limits: &Limits,
        config: &Http2Config,
        timer: Timer,
        counters: &Arc<Counters>,
    ) -> Self {
        Self {
            info: Arc::new(info),
            limits: limits.clone(),
            timer,
            counters: Arc::clone(counters),
            send_buffer: Rc::new(SendBuffer::new(config.max_send_buffer_size)),
            content_length: ContentLength::default(),
            tally: Tally::default(),
        }
    }
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
    let (io, flusher) = lazy_flush(io);
    let mut handshake = h2::server::Builder::new()
        .initial_window_size(config.initial_stream_window_size)
        .initial_connection_window_size(config.initial_connection_window_size)
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_header_list_size(config.max_header_list_size)
        .max_frame_size(config.max_frame_size)
        .max_send_buffer_size(config.max_send_buffer_size)
        .max_pending_accept_reset_streams(config::MAX_PENDING_ACCEPT_RESETS)
        .max_local_error_reset_streams(Some(config::MAX_ERROR_RESETS))
        .max_concurrent_reset_streams(config::MAX_RESET_STREAMS)
        .handshake(io);
    let h2 = poll_fn(|cx| {
        flusher.begin_turn();
        let result = Pin::new(&mut handshake).poll(cx);
        if result.is_pending()
            && let Poll::Ready(Err(error)) = flusher.poll(cx)
        {
            return Poll::Ready(Err(Error::from(error)));
        }
        result.map_err(Error::from)
    })
    .await?;
    Ok(Connection {
        h2,
        flusher,
        gate: FloodGate::new(config),
    })
}

/// Serves a connection until it ends. When `shutdown` is ready the peer is told to go elsewhere
/// (GOAWAY, RFC 9113 section 6.8) and what it has asked for by then is answered.
///
/// Not an `async fn`, which would hold the connection twice for as long as it is idle.
pub(crate) fn serve<IO, S>(
    connection: Connection<IO>,
    service: S,
    scope: Rc<Scope>,
    mut shutdown: impl Future<Output = ()> + Unpin,
) -> impl Future<Output = Result<Closed, Error>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    let Connection {
        mut h2,
        flusher,
        mut gate,
    } = connection;
    let mut flood = None;
    let mut closed = Closed::ByPeer;
    let mut in_flight = FuturesUnordered::new();
    let mut idle = Deadline::new(scope.timer, scope.limits.idle);
    poll_fn(move |cx| {
        flusher.begin_turn();
        if closed == Closed::ByPeer && Pin::new(&mut shutdown).poll(cx).is_ready() {
            closed = Closed::Shutdown;
            h2.graceful_shutdown();
            idle = Deadline::new(scope.timer, scope.limits.write);
        }
        loop {
            // Everything that has arrived is accepted before anything is answered, so that the
            // answers leave together.
            while let Poll::Ready(accepted) = h2.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, sender))) => {
                        scope.counters.requests.add();
                        scope.tally.request();
                        let scope = Rc::clone(&scope);
                        in_flight.push(Respond::new(service.clone(), request, sender, scope));
                        idle.progress();
                    }
                    Some(Err(error)) => {
                        note_flood(&error, &scope);
                        return Poll::Ready(failed(error.into(), closed, in_flight.is_empty()));
                    }
                    None => return Poll::Ready(flood.map_or(Ok(closed), refused)),
                }
            }
            let found = gate.look(flusher.frames(), &scope.tally);
            if flood.is_none()
                && let Some(found) = found
            {
                flood = Some(found);
                begin_refusal(found, &scope);
                h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                idle = Deadline::new(scope.timer, scope.limits.write);
                continue;
            }
            // What is answered here makes h2 wake this task, which sends it. A request is polled
            // with one waker all its life: monoio's timers keep the first that they are given.
            while let Poll::Ready(Some(())) = in_flight.poll_next_unpin(cx) {}
            if let Poll::Ready(Err(error)) = flusher.poll(cx) {
                return Poll::Ready(failed(error.into(), closed, in_flight.is_empty()));
            }
            if (!in_flight.is_empty() && flood.is_none()) || idle.poll_waiting(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(flood) = flood {
                return Poll::Ready(refused(flood));
            }
            if closed != Closed::ByPeer {
                let error = Error::timeout("the peer's answer to GOAWAY", scope.limits.write);
                return Poll::Ready(Err(error));
            }
            closed = Closed::Idle;
            h2.graceful_shutdown();
            idle = Deadline::new(scope.timer, scope.limits.write);
        }
    })
}

/// Counts and tells, once for each connection.
fn begin_refusal(flood: Flood, scope: &Scope) {
    scope.counters.floods.add();
    match flood {
        Flood::Frames => scope.counters.frame_floods.add(),
        Flood::Resets => scope.counters.reset_floods.add(),
    }
    tracing::info!(peer = %scope.info.peer_addr, ?flood, "a peer is told to calm down");
}

fn refused(flood: Flood) -> Result<Closed, Error> {
    Err(Error::new(Kind::Http2, flood.to_string()))
}

/// h2 has limits of its own.
fn note_flood(error: &h2::Error, scope: &Scope) {
    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        scope.counters.floods.add();
        tracing::info!(peer = %scope.info.peer_addr, %error, "a peer is told to calm down");
    }
}

/// What an error means: a peer that was told to go and went may not have said goodbye.
fn failed(error: Error, closed: Closed, answered: bool) -> Result<Closed, Error> {
    let left = error.is_io() || error.is_truncated();
    match closed {
        Closed::Idle | Closed::Shutdown if answered && left => Ok(closed),
        _ => Err(error),
    }
}
