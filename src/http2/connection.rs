//! Drives one connection: polls h2 and, in the same task, the requests in flight.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    headers::ContentLength,
    keep_alive::KeepAlive,
    lazy_flush::{Flusher, LazyFlush, lazy_flush},
    respond::Respond,
    send::{Chunk, SendBuffer},
};
use crate::{
    config::{Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    error::Error,
    service::HttpService,
    time::{Deadline, Timer},
};

/// A connection whose preface has been exchanged.
pub(crate) struct Connection<IO> {
    h2: h2::server::Connection<LazyFlush<IO>, Chunk>,
    flusher: Flusher<IO>,
}

/// What the requests of a connection share.
pub(crate) struct Scope {
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) counters: Arc<Counters>,
    pub(super) max_body_size: Option<u64>,
    pub(super) send_buffer: Rc<SendBuffer>,
    pub(super) content_length: ContentLength,
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
            max_body_size: config.max_request_body_size,
            send_buffer: Rc::new(SendBuffer::new(config.max_send_buffer_size)),
            content_length: ContentLength::default(),
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
    Ok(Connection { h2, flusher })
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
    let Connection { mut h2, flusher } = connection;
    let mut closed = Closed::ByPeer;
    let mut in_flight = FuturesUnordered::new();
    let mut idle = Deadline::new(scope.timer, scope.limits.idle);
    let mut keep_alive = KeepAlive::new(h2.ping_pong(), &scope.limits, scope.timer);
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
                        let scope = Rc::clone(&scope);
                        in_flight.push(Respond::new(service.clone(), request, sender, scope));
                        idle.progress();
                    }
                    Some(Err(error)) => {
                        return Poll::Ready(failed(error.into(), closed, in_flight.is_empty()));
                    }
                    None => return Poll::Ready(Ok(closed)),
                }
            }
            // What is answered here makes h2 wake this task, which sends it. A request is polled
            // with one waker all its life: monoio's timers keep the first that they are given.
            while let Poll::Ready(Some(())) = in_flight.poll_next_unpin(cx) {}
            if let Poll::Ready(Err(error)) = flusher.poll(cx) {
                return Poll::Ready(failed(error.into(), closed, in_flight.is_empty()));
            }
            if let Some(keep_alive) = &mut keep_alive {
                let streams_open = !in_flight.is_empty();
                if keep_alive
                    .poll(cx, flusher.received(), streams_open)
                    .is_ready()
                {
                    scope.counters.keep_alive_timeouts.add();
                    let limit = scope.limits.keep_alive_timeout;
                    return Poll::Ready(Err(Error::timeout("the answer to a PING", limit)));
                }
            }
            if !in_flight.is_empty() || idle.poll_waiting(cx).is_pending() {
                return Poll::Pending;
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

/// What an error means: a peer that was told to go and went may not have said goodbye.
fn failed(error: Error, closed: Closed, answered: bool) -> Result<Closed, Error> {
    let left = error.is_io() || error.is_truncated();
    match closed {
        Closed::Idle | Closed::Shutdown if answered && left => Ok(closed),
        _ => Err(error),
    }
}
