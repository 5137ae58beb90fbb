//! A connection, from the preface to GOAWAY.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use corelane_http2::{Config, ConnectionError, ErrorCode, Event};
use http::{HeaderMap, StatusCode, request::Parts};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    error::EngineError,
    inbox::Inbox,
    input::Input,
    output::{AT_ONCE, Output},
    ping::{self, Pings},
    request_stream::RequestStream,
    response_sender::ResponseSender,
    shared::{Handle, Shared},
};

/// One connection over `IO`. `D` holds the data of response bodies until it is sent.
pub(crate) struct Connection<IO, D: Buf> {
    io: IO,
    input: Input,
    output: Output,
    shared: Handle<D>,
    phase: Phase,
    /// The connection ends with its last stream.
    draining: Option<Draining>,
    /// Streams that were reset since there was last nothing to read.
    early_resets: u32,
    max_early_resets: u32,
    has_pings: bool,
}

/// The side that has sent GOAWAY.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Draining {
    /// The server, with the last stream that it answers.
    Server,
    Client(ErrorCode),
}

/// DATA without data that does not end its stream: as many as crate h2 accepts on a connection.
const MAX_EMPTY_DATA: u32 = 100;

/// The code of GOAWAY, and the error.
type Failed = (ErrorCode, EngineError);

enum Phase {
    Open,
    /// What is left is written, then the transport is shut down.
    Closing(Option<EngineError>),
    Closed,
}

impl<IO, D: Buf> Connection<IO, D> {
    /// `max_early_resets`: how many requests the client may reset at once, before the server looks at them.
    pub(super) fn new(io: IO, config: Config, max_early_resets: u32) -> Self {
        let engine = corelane_http2::Connection::new(config);
        Self {
            io,
            input: Input::default(),
            output: Output::default(),
            shared: Rc::new(RefCell::new(Shared::new(engine))),
            phase: Phase::Open,
            draining: None,
            early_resets: 0,
            max_early_resets,
            has_pings: false,
        }
    }

    /// Announces GOAWAY, `NO_ERROR`: requests that the client has sent by the time it arrives are
    /// still yielded (RFC 9113 section 6.8).
    pub(crate) fn graceful_shutdown(&mut self) {
        let mut shared = self.shared.borrow_mut();
        shared.engine.announce_shutdown();
        shared.engine.ping(ping::SHUTDOWN);
    }

    /// Sends GOAWAY, `ENHANCE_YOUR_CALM`, and ends the connection.
    pub(crate) fn end_for_flood(&mut self) {
        self.end(ErrorCode::ENHANCE_YOUR_CALM, None);
    }

    /// Sends GOAWAY, `NO_ERROR`, and ends the connection without regard to its streams.
    pub(crate) fn close(&mut self) {
        self.end(ErrorCode::NO_ERROR, None);
    }

    /// Only the first call returns `Some`.
    pub(crate) fn pings(&mut self) -> Option<Pings<D>> {
        let is_first = !std::mem::replace(&mut self.has_pings, true);
        is_first.then(|| Pings::new(Rc::clone(&self.shared)))
    }

    /// The engine's output ends with GOAWAY.
    fn end(&mut self, code: ErrorCode, end: Option<EngineError>) {
        if let Phase::Open = self.phase {
            let mut shared = self.shared.borrow_mut();
            let is_told = self.draining == Some(Draining::Server)
                && code == ErrorCode::NO_ERROR
                && shared.engine.open_streams() == 0;
            if !is_told {
                shared.engine.close(code);
            }
            shared.fail(&end.clone().unwrap_or_else(EngineError::ended));
            self.phase = Phase::Closing(end);
        }
    }
}

impl<IO, D> Connection<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    /// Reads and writes as much as the transport allows. Ready with the next request, with an
    /// error, or with `None` when the connection has ended.
    pub(crate) fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Incoming<D>, EngineError>>> {
        if let Phase::Open = self.phase {
            match ready!(self.poll_open(cx)) {
                Ok(Some(incoming)) => return Poll::Ready(Some(Ok(incoming))),
                Ok(None) => self.end(ErrorCode::NO_ERROR, None),
                Err((code, error)) => self.end(code, Some(error)),
            }
        }
        let Phase::Closing(end) = &mut self.phase else {
            return Poll::Ready(None);
        };
        let mut end = end.take();
        let is_gone = end.as_ref().is_some_and(EngineError::is_io);
        if !is_gone {
            let closed = self.poll_close(cx);
            if closed.is_pending() {
                self.phase = Phase::Closing(end);
                return Poll::Pending;
            }
            if let Poll::Ready(Err(error)) = closed {
                end = end.or(Some(error));
            }
        }
        self.phase = Phase::Closed;
        Poll::Ready(end.map(Err))
    }

    /// Ready when the client's preface has arrived, with SETTINGS (RFC 9113 section 3.4).
    pub(super) fn poll_established(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), EngineError>> {
        // The server's own go first.
        ready!(self.poll_write(cx))?;
        while !self.shared.borrow().engine.is_established() {
            if self.input.is_empty() {
                match ready!(self.input.poll_read(&mut self.io, cx)) {
                    Ok(true) => {}
                    Ok(false) => return Poll::Ready(Err(EngineError::without_preface())),
                    Err(error) => return Poll::Ready(Err(EngineError::io(&error))),
                }
            }
            let engine = &mut self.shared.borrow_mut().engine;
            // The first event is that of SETTINGS.
            let received = self
                .input
                .take(|bytes, _| engine.receive(bytes).map(|_event| ()));
            if let Err(error) = received {
                return Poll::Ready(Err(EngineError::Connection(error)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready with the next request, with an error and the code of GOAWAY, or with `None` when the connection ends
    /// without one.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming<D>>, Failed>> {
        {
            let mut shared = self.shared.borrow_mut();
            shared.begin_poll(cx);
            shared.take_returns();
        }
        let failed = |error| (ErrorCode::NO_ERROR, error);
        loop {
            if !self.input.is_empty() {
                if let Some(incoming) = self.receive()? {
                    return Poll::Ready(Ok(Some(incoming)));
                }
                if self.input.is_empty() {
                    continue;
                }
                // There is no room for the answers.
                ready!(self.poll_write(cx)).map_err(failed)?;
                continue;
            }
            match self.input.poll_read(&mut self.io, cx) {
                Poll::Ready(Ok(true)) => continue,
                Poll::Ready(Ok(false)) if self.shared.borrow().engine.is_within_frame() => {
                    return Poll::Ready(Err(failed(EngineError::InsideFrame)));
                }
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(failed(EngineError::io(&error))));
                }
                Poll::Pending => {}
            }
            self.early_resets = 0;
            ready!(self.poll_write(cx)).map_err(failed)?;
            let mut shared = self.shared.borrow_mut();
            if shared.engine.open_streams() == 0 {
                match self.draining {
                    None => {}
                    Some(Draining::Client(code)) if code != ErrorCode::NO_ERROR => {
                        return Poll::Ready(Err(failed(EngineError::GoAway(code))));
                    }
                    Some(_) => return Poll::Ready(Ok(None)),
                }
            }
            shared.wake_for_capacity();
            shared.shrink();
            return Poll::Pending;
        }
    }

    /// Gives the input to the engine, up to the next request.
    fn receive(&mut self) -> Result<Option<Incoming<D>>, Failed> {
        let received = self.next_request();
        let received = received.map_err(|error| (error.code(), EngineError::Connection(error)))?;
        let flood = if self.early_resets > self.max_early_resets {
            "too many streams were reset at once"
        } else if self.shared.borrow().engine.stats().empty_data > MAX_EMPTY_DATA {
            "too many empty DATA frames"
        } else {
            return Ok(received);
        };
        Err((ErrorCode::ENHANCE_YOUR_CALM, EngineError::Flood(flood)))
    }

    fn next_request(&mut self) -> Result<Option<Incoming<D>>, ConnectionError> {
        let handle = &self.shared;
        let mut shared = handle.borrow_mut();
        let shared = &mut *shared;
        let (draining, early_resets) = (&mut self.draining, &mut self.early_resets);
        self.input.take(|bytes, mut buffer| {
            while let Some(event) = shared.engine.receive(bytes)? {
                match event {
                    Event::Request { stream, head, end } => {
                        return Ok(Some(Incoming {
                            head,
                            inbox: shared.open(stream, !end),
                            sender: ResponseSender::new(Rc::clone(handle), stream),
                        }));
                    }
                    Event::HeadTooLarge { stream, .. } => {
                        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                        let fields = HeaderMap::new();
                        // The stream was opened by this event.
                        let _ = shared.engine.respond(stream, status, &fields, true);
                        shared.engine.abandon(stream);
                    }
                    Event::Data { stream, data, end } => {
                        shared.data(stream, data, end, &mut buffer);
                    }
                    Event::Trailers { stream, trailers } => {
                        if let Some(inbox) = shared.inbox(stream) {
                            inbox.trailers(trailers);
                        }
                    }
                    Event::Reset {
                        stream,
                        code,
                        by_peer,
                    } => {
                        *early_resets += 1;
                        shared.reset(stream, EngineError::Reset { code, by_peer });
                    }
                    Event::Settings(_) => shared.windows_changed(),
                    Event::Pong(ping::KEEP_ALIVE) => shared.keep_alive_answered = true,
                    Event::Pong(ping::SHUTDOWN) => {
                        shared.engine.go_away();
                        *draining = Some(Draining::Server);
                    }
                    Event::GoAway { code } => {
                        draining.get_or_insert(Draining::Client(code));
                    }
                    _ => {}
                }
            }
            Ok(None)
        })
    }

    /// Ready when the engine has nothing to send, and the transport has all of it.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EngineError>> {
        // A part of it may be written already.
        let mut wrote = !self.output.is_empty();
        loop {
            let written = ready!(self.output.poll_write(&mut self.io, cx));
            written.map_err(|error| EngineError::io(&error))?;
            let mut shared = self.shared.borrow_mut();
            if shared.engine.wants_transmit() {
                let fill = |pieces: &mut _| {
                    shared.engine.transmit(pieces, AT_ONCE);
                };
                self.output.fill(fill);
                shared.drop_sent();
            }
            if self.output.is_empty() {
                break;
            }
            wrote = true;
        }
        if wrote {
            let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
            flushed.map_err(|error| EngineError::io(&error))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EngineError>> {
        ready!(self.poll_write(cx))?;
        let shut_down = Pin::new(&mut self.io).poll_shutdown(cx);
        shut_down.map_err(|error| EngineError::io(&error))
    }
}

impl<IO, D: Buf> Drop for Connection<IO, D> {
    fn drop(&mut self) {
        // Bodies may be read on other threads.
        self.shared.borrow_mut().fail(&EngineError::ended());
    }
}

/// A request as it arrives. The caller takes it apart, so that its head is moved only as often as
/// needed.
pub(crate) struct Incoming<D: Buf> {
    head: Parts,
    inbox: Option<Arc<Inbox>>,
    sender: ResponseSender<D>,
}

impl<D: Buf> Incoming<D> {
    pub(crate) fn into_parts(self) -> (Parts, RequestStream, ResponseSender<D>) {
        (self.head, RequestStream::new(self.inbox), self.sender)
    }
}
