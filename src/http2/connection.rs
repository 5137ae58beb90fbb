//! Drives one connection: polls the engine and, in the same task, the requests in flight.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    context::ConnectionContext,
    flood_guard::{self, FloodGuard, Verdict},
    half_close::HalfClose,
    in_flight::InFlight,
    keep_alive::KeepAlive,
    request::RequestTask,
    send_buffer::Chunk,
    transport::{Transport, TransportHandle, transport},
    worker_service::WorkerService,
};
use crate::{
    closing::{Closed, Shutdown},
    config::{self, Http2Config, Http2Engine},
    error::{Error, Kind},
    http2_engine::{self, ProtocolError},
    schedule::{MAX_ROUNDS, Phase, PollGuard, Wakeups},
    service::HttpService,
    time::Deadline,
    upgrade::Policy,
};

type Engine<IO> = http2_engine::Connection<Transport<IO>, Chunk>;

/// A connection whose preface has been exchanged.
pub(crate) struct Connection<IO> {
    engine: Engine<IO>,
    transport: TransportHandle<IO>,
    flood_guard: FloodGuard,
    poll_guard: PollGuard,
}

/// Exchanges the preface (RFC 9113 section 3.4).
pub(crate) async fn preface<IO>(
    io: IO,
    config: &Http2Config,
    engine: Http2Engine,
    upgrades: Policy,
) -> Result<Connection<IO>, Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut poll_guard = PollGuard::new();
    let (io, transport) = transport(io, poll_guard.wakeups(), config);
    let mut handshake = pin!(http2_engine::handshake(
        io,
        config,
        engine,
        upgrades.upgrades
    ));
    let engine = poll_fn(|cx| {
        let task = cx.waker();
        let (result, woken) = poll_guard.run(task, |cx, wakeups| {
            wakeups.take_woken();
            let result = handshake.as_mut().poll(cx);
            if result.is_pending()
                && let Poll::Ready(Err(error)) = transport.poll_flush(cx)
            {
                return Poll::Ready(Err(error.into()));
            }
            result.map_err(ProtocolError::into_error)
        });
        if woken {
            task.wake_by_ref();
        }
        result
    })
    .await?;
    Ok(Connection {
        engine,
        transport,
        flood_guard: FloodGuard::new(config),
        poll_guard,
    })
}

/// Sends GOAWAY in place of a connection whose preface has failed.
pub(crate) async fn refuse<IO: AsyncWrite + Unpin>(mut io: IO, error: &Error) {
    let _ = poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &http2_engine::goaway(error))).await;
}

/// Serves a connection until it ends. When `shutdown` is ready the server sends GOAWAY (RFC 9113
/// section 6.8) and answers the requests that have arrived by then. A client that has sent none
/// gets some time to send its first one.
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
        engine,
        transport,
        flood_guard,
        mut poll_guard,
    } = connection;
    transport.hold_end();
    let mut driver = Driver {
        engine,
        transport,
        flood_guard,
        service: service.service.clone(),
        in_flight: InFlight::new(poll_guard.wakeups(), Rc::clone(&service.pool)),
        phase: Phase::Receive,
        shutdown: Shutdown::new(shutdown, context.timer),
        idle: Deadline::new(context.timer, context.limits.idle),
        keep_alive: None,
        half_close: None,
        context,
    };
    let yield_queue = service.yield_queue();
    poll_fn(move |cx| {
        let task = cx.waker();
        let (result, woken) = poll_guard.run(task, |cx, wakeups| driver.poll(cx, wakeups));
        if result.is_pending() && (woken || driver.phase != Phase::Receive) {
            yield_queue.wake(task);
        }
        result
    })
}

struct Driver<IO, S: HttpService, F> {
    engine: Engine<IO>,
    transport: TransportHandle<IO>,
    flood_guard: FloodGuard,
    service: S,
    in_flight: InFlight<RequestTask<S>>,
    phase: Phase,
    shutdown: Shutdown<F>,
    /// The time until GOAWAY is sent because no stream is open, then until the peer must have
    /// closed.
    idle: Deadline,
    keep_alive: Option<Box<KeepAlive>>,
    /// Since the peer has ended its side.
    half_close: Option<Box<HalfClose>>,
    context: Rc<ConnectionContext>,
}

impl<IO, S, F> Driver<IO, S, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
    F: Future<Output = ()> + Unpin,
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
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(self.failed(error.into()));
            }
            if self.poll_keep_alive(cx).is_ready() {
                self.context.counters.keep_alive_timeouts.add();
                self.close(cx);
                let limit = self.context.limits.keep_alive_timeout;
                return Poll::Ready(Err(Error::timeout("the answer to a PING", limit)));
            }
            if self.flood_guard.found().is_none() && !self.in_flight.is_empty() {
                return Poll::Pending;
            }
            self.in_flight.shrink();
            if self.shutdown.is_sent() && self.transport.is_blocked() {
                // Responses wait for the peer. The transport has its own time limit.
                self.idle.progress();
                return Poll::Pending;
            }
            if self.idle.poll_waiting(cx).is_pending() {
                return Poll::Pending;
            }
            if self.flood_guard.found().is_some() {
                return Poll::Ready(self.ended());
            }
            if self.shutdown.is_sent() {
                self.close(cx);
                return Poll::Ready(Ok(Closed::Unanswered));
            }
            self.send_goaway(Closed::Idle);
        }
    }

    /// Polls the engine, which reads and writes, and the requests in flight. If the connection goes
    /// on, `phase` tells whether it yields now.
    fn exchange(
        &mut self,
        cx: &mut Context<'_>,
        wakeups: &Wakeups,
    ) -> Option<Result<Closed, Error>> {
        let mut has_new = false;
        let mut rounds = 1;
        loop {
            // The code below polls every part, so the flags of woken parts can be cleared.
            wakeups.take_woken();
            self.shutdown.poll_signal(cx, self.context.timer);
            self.context.clock.receive();
            // All requests that have arrived are accepted before any is answered, so that the
            // answers leave together.
            while let Poll::Ready(next) = self.engine.poll_request(cx) {
                match next {
                    Some(Ok(incoming)) => {
                        has_new = true;
                        self.accept(incoming);
                    }
                    Some(Err(error)) => {
                        if error.is_flood() {
                            flood_guard::report(&self.context, &error);
                        }
                        return Some(self.failed(error.into_error()));
                    }
                    None => return Some(self.ended()),
                }
            }
            if self.transport.holds_end() && self.end_of_input().is_ready() {
                continue;
            }
            if self.shutdown.poll_due(cx).is_ready() {
                self.send_goaway(Closed::Shutdown);
                // Upgraded streams end.
                self.context.shutting_down.set(true);
                self.in_flight.poll_all();
                continue;
            }
            match self.flood_guard.poll(cx, &self.transport, &self.context) {
                Verdict::Pass => {}
                Verdict::Read => continue,
                Verdict::Close => {
                    self.engine.end_for_flood();
                    self.idle = Deadline::new(self.context.timer, self.context.limits.write);
                    continue;
                }
            }
            self.in_flight.poll();
            if self.phase == Phase::Write {
                self.phase = Phase::after_write(self.transport.written());
            } else if rounds < MAX_ROUNDS && wakeups.take_woken() {
                if !has_new {
                    rounds += 1;
                    continue;
                }
                self.phase = Phase::Write;
            }
            return None;
        }
    }

    fn accept(&mut self, incoming: http2_engine::Incoming<Chunk>) {
        self.context.counters.requests.add();
        self.context.credits.request();
        self.shutdown.request_received();
        let context = Rc::clone(&self.context);
        let service = self.service.clone();
        self.in_flight
            .push(RequestTask::new(service, incoming, context));
        self.idle.progress();
    }

    /// The peer has ended its side: the requests that have arrived are answered, and the engine,
    /// which would drop them, gets to know it after that. Ready when it does.
    fn end_of_input(&mut self) -> Poll<()> {
        if self.transport.is_blocked() {
            return Poll::Pending;
        }
        if self.in_flight.is_empty() {
            self.transport.give_end();
            return Poll::Ready(());
        }
        if self.half_close.is_none() {
            self.half_close = Some(Box::new(HalfClose::new(self.context.timer)));
            self.context.input_ended.set(true);
            // Each finds out whether it needs more from the peer. Once is enough, because a client
            // chooses how often the connection wakes up.
            self.in_flight.poll_all();
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wrote = self.transport.written() > 0;
        ready!(self.transport.poll_flush(cx))?;
        if !self.transport.is_blocked() {
            self.context.send_buffer.flushed();
        }
        match &mut self.half_close {
            Some(half_close) => half_close.poll(cx, &self.transport, wrote),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Ready when the peer has not answered a PING in time.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.half_close.is_some() {
            // It can answer none.
            return Poll::Pending;
        }
        if self.keep_alive.is_none()
            && let Some(interval) = self.context.keep_alive_interval()
            && let Some(pings) = self.engine.pings()
        {
            let context = &self.context;
            let keep_alive = KeepAlive::new(pings, interval, &context.limits, context.timer);
            self.keep_alive = Some(Box::new(keep_alive));
        }
        match &mut self.keep_alive {
            Some(keep_alive) => {
                let streams_open = !self.in_flight.is_empty();
                keep_alive.poll(cx, self.transport.received(), streams_open)
            }
            None => Poll::Pending,
        }
    }

    fn send_goaway(&mut self, why: Closed) {
        self.shutdown.sent(why);
        self.engine.graceful_shutdown();
        let limit = self.context.limits.write.min(config::GOAWAY_ANSWER);
        self.idle = Deadline::new(self.context.timer, limit);
    }

    /// Sends the last GOAWAY, as far as the transport takes it at once.
    fn close(&mut self, cx: &mut Context<'_>) {
        self.engine.close();
        let _ = self.engine.poll_request(cx);
    }

    fn ended(&self) -> Result<Closed, Error> {
        match self.flood_guard.found() {
            None => Ok(self.shutdown.closed()),
            Some(flood) => Err(Error::new(Kind::Http2, flood.to_string())),
        }
    }

    /// After GOAWAY a peer may close without a clean close of its transport. That is no error.
    fn failed(&self, error: Error) -> Result<Closed, Error> {
        match self.shutdown.is_sent() && self.in_flight.is_empty() && error.is_io() {
            true => Ok(self.shutdown.closed()),
            false => Err(error),
        }
    }
}
