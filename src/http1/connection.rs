//! Drives one connection: polls hyper's connection, drains request bodies, and measures the time limits.

use std::{
    error::Error as StdError,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{context::ConnectionContext, request::RequestService, tunnel::Tunnel, wire::Wire};
use crate::{
    closing::{Closed, Shutdown},
    error::{Error, Kind},
    response::date,
    schedule::{PollGuard, Wakeups, YieldQueue},
    service::HttpService,
    time::Deadline,
};

/// How long a connection keeps hyper's state and its buffers between two requests. They take 10 KiB, so an
/// idle connection drops them; a busy one would make them anew for each request.
const KEEP_STATE: Duration = Duration::from_secs(1);

/// The least that hyper buffers of input, and of a response before it is written, bytes: four records
/// of TLS, so that large writes leave in full records.
const BUFFER: usize = 64 * 1024;

/// How often a connection goes through its parts in one poll: each piece of a request's body, a record of
/// TLS, wakes the handler, and the handler hyper. As many as hyper's own loop.
const MAX_ROUNDS: usize = 16;

type Engine<IO, S> = http1::Connection<TokioIo<Wire<IO>>, RequestService<S>>;

/// Serves a connection until it ends. When `shutdown` is ready, the server closes it if it is idle, or
/// after the next response, which says so (RFC 9112 section 9.6). A client that has sent no request
/// gets some time to send its first one.
pub(crate) fn serve<IO, S>(
    io: IO,
    service: S,
    yield_queue: Rc<YieldQueue>,
    context: Rc<ConnectionContext>,
    shutdown: impl Future<Output = ()> + Unpin,
) -> impl Future<Output = Result<Closed, Error>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    let mut poll_guard = PollGuard::new();
    let keep_state = KEEP_STATE.min(context.limits.idle);
    let deadline = |limit| Deadline::new(context.timer, limit);
    let mut driver = Driver {
        wire: Wire::new(io, Rc::clone(&context)),
        service,
        engine: None,
        shutdown: Shutdown::new(shutdown, context.timer),
        keep_state: deadline(keep_state),
        idle: deadline(context.limits.idle.saturating_sub(keep_state)),
        head: deadline(context.limits.head),
        ended: deadline(context.limits.write),
        requests: 0,
        tunnel: None,
        written: 0,
        context,
    };
    poll_fn(move |cx| {
        let task = cx.waker();
        let (result, woken) = poll_guard.run(task, |cx, wakeups| driver.poll(cx, wakeups));
        if result.is_pending() && woken {
            yield_queue.wake(task);
        }
        result
    })
}

struct Driver<IO: AsyncRead + AsyncWrite + Unpin, S: HttpService, F> {
    wire: Wire<IO>,
    service: S,
    /// `None` for an idle connection.
    engine: Option<Box<Engine<IO, S>>>,
    shutdown: Shutdown<F>,
    /// The time until an idle connection drops its engine, then until it is closed.
    keep_state: Deadline,
    idle: Deadline,
    /// The time for the head that has begun to arrive.
    head: Deadline,
    /// The time without progress for the response to a peer that has ended its side.
    ended: Deadline,
    /// Requests that the driver has seen.
    requests: u64,
    /// Since the connection was upgraded. hyper is done then.
    tunnel: Option<Tunnel>,
    /// Bytes that were written when `ended` began.
    written: u64,
    context: Rc<ConnectionContext>,
}

impl<IO, S, F> Driver<IO, S, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
    F: Future<Output = ()> + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>, wakeups: &Wakeups) -> Poll<Result<Closed, Error>> {
        for round in 1..=MAX_ROUNDS {
            // The code below polls every part, so the flag of woken parts can be cleared.
            wakeups.take_woken();
            let mut ended = self.exchange(cx);
            // hyper goes on in the next round, and needs no input read for it.
            if ended.is_none() && (round == MAX_ROUNDS || !wakeups.is_woken()) {
                ended = self.poll_waiting(cx);
            }
            if let Some(result) = ended {
                return Poll::Ready(result);
            }
            if !wakeups.is_woken() {
                break;
            }
        }
        Poll::Pending
    }

    /// Polls hyper. `Some` when the connection has ended.
    fn exchange(&mut self, cx: &mut Context<'_>) -> Option<Result<Closed, Error>> {
        self.shutdown.poll_signal(cx, self.context.timer);
        if self.shutdown.is_signalled() {
            self.context.closing.set(true);
        }
        if let Some(tunnel) = &mut self.tunnel {
            if self.context.closing.get() {
                tunnel.shut_down();
            }
            return match tunnel.poll(&mut self.wire, cx) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            };
        }
        if self.engine.is_none() {
            match self.wire.poll_ahead(cx) {
                Poll::Ready(Ok(true)) => self.engine = Some(Box::new(self.start())),
                Poll::Ready(Ok(false)) => return Some(Ok(self.closed())),
                Poll::Ready(Err(error)) => return Some(Err(error.into())),
                Poll::Pending => {
                    // The end of a handshake, before the first request.
                    if let Poll::Ready(Err(error)) = Pin::new(&mut self.wire).poll_flush(cx) {
                        return Some(Err(error.into()));
                    }
                    return None;
                }
            }
        }
        self.wire.begin_poll();
        if let Some(engine) = &mut self.engine
            && let Poll::Ready(result) = Pin::new(&mut **engine).poll(cx)
        {
            return match result {
                Ok(()) if self.is_upgraded() => {
                    cx.waker().wake_by_ref();
                    None
                }
                Ok(()) => {
                    self.context.has_open_end.set(false);
                    Some(Ok(self.closed()))
                }
                Err(error) => Some(self.failed(cx, error)),
            };
        }
        if self.requests != self.context.requests.get() {
            self.requests = self.context.requests.get();
            self.shutdown.request_received();
            self.head.progress();
            self.keep_state.progress();
            self.idle.progress();
        }
        None
    }

    /// Whether hyper is done because the response has accepted an upgrade. The connection is a tunnel from
    /// then on.
    fn is_upgraded(&mut self) -> bool {
        let Some(handler) = self.context.tunnel.take() else {
            return false;
        };
        if let Some(engine) = self.engine.take() {
            self.wire.unread(&engine.into_parts().read_buf);
        }
        self.tunnel = Some(Tunnel::new(handler));
        true
    }

    /// hyper waits: finds out for what, and whether it has waited for too long.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Option<Result<Closed, Error>> {
        if self.tunnel.is_some() {
            return None;
        }
        if self.engine.is_none() {
            return self.poll_idle(cx);
        }
        let drained = self.context.poll_drained(cx);
        if self.context.in_flight.get() {
            return self.poll_peer(cx);
        }
        if drained.is_pending() {
            return None;
        }
        if self.context.unusable.get() {
            return self.wire.is_flushed().then_some(Ok(Closed::ByServer));
        }
        let context = &self.context;
        if context.head.line_left(context.max_head) == 0 {
            self.context.counters.requests_malformed.add();
            self.refuse(cx, StatusCode::URI_TOO_LONG);
            return Some(Err(Error::new(Kind::Http1, "the request line is too long")));
        }
        if !self.wire.is_reading() && !self.wire.is_flushed() {
            // The response waits for the peer. The transport has its own time limit.
            return None;
        }
        if context.head.has_begun() {
            if self.head.poll_waiting(cx).is_pending() {
                return None;
            }
            self.context.counters.heads_timed_out.add();
            self.refuse(cx, StatusCode::REQUEST_TIMEOUT);
            let limit = self.context.limits.head;
            return Some(Err(Error::timeout("the head of a request", limit)));
        }
        self.poll_idle(cx)
    }

    /// While a request is in flight and hyper reads nothing: notices when the peer is gone. One that
    /// has ended its side may still read, and gets the response if it takes some of it in time.
    fn poll_peer(&mut self, cx: &mut Context<'_>) -> Option<Result<Closed, Error>> {
        if self.wire.is_reading() {
            return None;
        }
        if let Poll::Ready(Err(error)) = self.wire.poll_ahead(cx) {
            return Some(Err(error.into()));
        }
        if !self.wire.has_ended() {
            return None;
        }
        let written = self.wire.written();
        if written != self.written {
            self.written = written;
            self.ended.progress();
        }
        match self.ended.poll_waiting(cx) {
            Poll::Ready(()) => Some(Ok(Closed::ByPeer)),
            Poll::Pending => None,
        }
    }

    /// Between two requests.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Option<Result<Closed, Error>> {
        if self.shutdown.poll_due(cx).is_ready() {
            return Some(Ok(Closed::Shutdown));
        }
        if self.keep_state.poll_waiting(cx).is_pending() {
            return None;
        }
        if let Some(engine) = self.engine.take() {
            let rest = engine.into_parts().read_buf;
            // The beginning of a head, behind the last request; clients of old send an empty line
            // there (RFC 9112 section 2.2).
            let begin = rest.iter().position(|byte| !b"\r\n".contains(byte));
            if let Some(begin) = begin {
                self.wire.unread(&rest[begin..]);
            }
            cx.waker().wake_by_ref();
            return None;
        }
        match self.idle.poll_waiting(cx) {
            Poll::Ready(()) => Some(Ok(Closed::Idle)),
            Poll::Pending => None,
        }
    }

    fn start(&self) -> Engine<IO, S> {
        let context = &self.context;
        let service = RequestService::new(self.service.clone(), Rc::clone(context));
        http1::Builder::new()
            .half_close(true)
            .max_header_size(context.max_head)
            .max_buf_size(context.max_head.max(BUFFER))
            .serve_connection(TokioIo::new(self.wire.clone()), service)
    }

    /// Answers in place of hyper, which has nothing to write.
    fn refuse(&mut self, cx: &mut Context<'_>, status: StatusCode) {
        self.engine = None;
        self.context.counters.response(status.as_u16());
        let reason = status.canonical_reason().unwrap_or_default();
        let date =
            date::now().map(|date| format!("date: {}\r\n", date.to_str().unwrap_or_default()));
        let response = format!(
            "HTTP/1.1 {code} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n{date}\r\n",
            code = status.as_str(),
            date = date.unwrap_or_default(),
        );
        self.wire.write(cx, response.as_bytes());
    }

    fn closed(&self) -> Closed {
        match self.context.closing.get() {
            true => Closed::Shutdown,
            false => Closed::ByPeer,
        }
    }

    fn failed(&mut self, cx: &mut Context<'_>, error: hyper::Error) -> Result<Closed, Error> {
        if self.context.response_failed.get() || self.context.unusable.get() {
            return Ok(Closed::ByServer);
        }
        if error.is_parse() {
            self.context.counters.requests_malformed.add();
            if error.is_parse_version_h2() {
                self.refuse(cx, StatusCode::HTTP_VERSION_NOT_SUPPORTED);
                let why = "the client speaks HTTP/2, which it did not offer by ALPN";
                return Err(Error::new(Kind::Http1, why));
            }
            // hyper has answered 400, 414 or 431: the counter has their class only.
            let status = StatusCode::BAD_REQUEST.as_u16();
            self.context.counters.response(status);
            let why = "a request is malformed or too large";
            return Err(Error::new(Kind::Http1, why).with_source(error));
        }
        match io_error(&error) {
            Some(kind) => Err(io::Error::new(kind, error).into()),
            None => Err(Error::new(Kind::Io, "the connection failed").with_source(error)),
        }
    }
}

/// The kind of the error of the stream that hyper has passed on.
fn io_error(error: &hyper::Error) -> Option<io::ErrorKind> {
    let source = error.source()?.downcast_ref::<io::Error>()?;
    Some(source.kind())
}
