//! The state that the parts of one connection share.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::StatusCode;

use crate::{
    body::{BodyEvent, BodyLimits, BodyMonitor, Progress},
    config::{Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    response::Failure,
    time::Timer,
    upgrade::{Policy, Tunnel},
};

/// Built once for each connection. Requests of HTTP/1.1 follow one another, so there is one set of
/// flags for the present one.
pub(crate) struct ConnectionContext {
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) limits: Limits,
    /// Bytes of a request's head.
    pub(super) max_head: usize,
    pub(super) timer: Timer,
    pub(super) counters: Arc<Counters>,
    pub(super) body_limits: BodyLimits,
    /// Requests that have begun.
    pub(super) requests: Cell<u64>,
    /// The present request is one of HTTP/1.0, which has no chunked bodies.
    pub(super) is_http10: Cell<bool>,
    /// A request has begun, and hyper does not have all of its response.
    pub(super) in_flight: Cell<bool>,
    /// The body of the present request, unless it has none or was read to its end.
    pub(super) body: RefCell<Option<RequestBody>>,
    /// The next response ends the connection.
    pub(super) closing: Cell<bool>,
    /// The connection ends after the present response: its request was not read to its end.
    pub(super) unusable: Cell<bool>,
    /// The handler failed when its response had begun.
    pub(super) response_failed: Cell<bool>,
    /// The present response ends with the connection, and hyper has not sent all of it.
    pub(super) has_open_end: Cell<bool>,
    pub(super) head: Head,
    /// Which requests can be upgraded.
    pub(super) upgrades: Policy,
    /// The present response accepts an upgrade: the connection belongs to it when the head is sent.
    pub(super) tunnel: RefCell<Option<Tunnel>>,
}

/// A request's body, while its connection has to watch it.
pub(super) struct RequestBody {
    pub(super) monitor: Box<BodyMonitor>,
    pub(super) progress: Progress,
}

/// Why a request ends without the response of its handler.
pub(super) enum Unanswered {
    Failure(Failure),
    /// The framing of its body is invalid.
    BodyMalformed,
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The head of the next request, as far as it has arrived.
#[derive(Default)]
pub(super) struct Head {
    bytes: Cell<usize>,
    has_line: Cell<bool>,
}

impl Head {
    pub(super) fn has_begun(&self) -> bool {
        self.bytes.get() > 0
    }

    /// Notes bytes of it.
    pub(super) fn arrived(&self, bytes: &[u8]) {
        self.bytes.set(self.bytes.get() + bytes.len());
        if !self.has_line.get() {
            self.has_line.set(bytes.contains(&b'\n'));
        }
    }

    /// How many bytes of the request line may follow; `usize::MAX` behind it. hyper answers 431 when
    /// its buffer is full, also where the line itself is too long (414, RFC 9112 section 3).
    pub(super) fn line_left(&self, max_head: usize) -> usize {
        match self.has_line.get() {
            true => usize::MAX,
            false => (max_head - 1).saturating_sub(self.bytes.get()),
        }
    }

    fn clear(&self) {
        self.bytes.set(0);
        self.has_line.set(false);
    }
}

impl ConnectionContext {
    pub(crate) fn new(
        info: Arc<ConnectionInfo>,
        limits: &Limits,
        config: &Http2Config,
        upgrades: Policy,
        timer: Timer,
        counters: &Arc<Counters>,
    ) -> Self {
        Self {
            info,
            limits: limits.clone(),
            max_head: config.max_header_list_size as usize,
            timer,
            counters: Arc::clone(counters),
            body_limits: BodyLimits::new(config.max_request_body_size, limits, timer),
            requests: Cell::new(0),
            is_http10: Cell::new(false),
            in_flight: Cell::new(false),
            body: RefCell::new(None),
            closing: Cell::new(false),
            unusable: Cell::new(false),
            response_failed: Cell::new(false),
            has_open_end: Cell::new(false),
            head: Head::default(),
            upgrades,
            tunnel: RefCell::new(None),
        }
    }

    /// Whether the client would take an incomplete response for a complete one, if the connection ended in
    /// order now.
    pub(crate) fn has_open_end(&self) -> bool {
        self.has_open_end.get()
    }

    /// Whether the body of the last request is known to have ended where hyper has seen the next one
    /// begin. hyper reads on before the driver looks.
    pub(super) fn is_certain_of_request(&self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        if self.poll_drained(cx).is_pending() {
            self.unusable.set(true);
        }
        !self.unusable.get()
    }

    pub(super) fn request_begins(&self) {
        self.requests.set(self.requests.get() + 1);
        self.in_flight.set(true);
        self.head.clear();
    }

    /// Whether the bytes that arrive belong to the head of a request.
    pub(super) fn is_between_requests(&self) -> bool {
        !self.in_flight.get() && self.body.borrow().is_none() && !self.unusable.get()
    }

    /// After the response: drains the rest of the request's body. Pending while there is some.
    pub(super) fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut body = self.body.borrow_mut();
        let Some(RequestBody { monitor, progress }) = &mut *body else {
            return Poll::Ready(());
        };
        if self.in_flight.get() {
            monitor.drain(cx);
            return Poll::Pending;
        }
        let gives_up = monitor.waits_for_continue() && !progress.is_complete();
        let drained = gives_up || monitor.poll_drained(cx).is_ready();
        if !drained && !progress.is_complete() {
            return Poll::Pending;
        }
        if !progress.is_complete() || progress.has_uncertain_end() {
            self.unusable.set(true);
        }
        *body = None;
        Poll::Ready(())
    }

    /// Whether the response that begins now is the last one of the connection.
    pub(super) fn ends_connection(&self) -> bool {
        // A client that was not told to continue may send the body or leave it out.
        let has_open_end = |RequestBody { monitor, progress }: &RequestBody| {
            monitor.waits_for_continue() && !progress.is_complete() || progress.has_uncertain_end()
        };
        self.closing.get() || self.body.borrow().as_ref().is_some_and(has_open_end)
    }

    /// Whether the body exceeds the limit, by its declared length or by the data that has arrived.
    pub(super) fn is_body_too_large(&self) -> bool {
        let body = self.body.borrow();
        body.as_ref()
            .is_some_and(|body| body.monitor.is_too_large())
    }

    /// Whether the handler may have failed because the peer is gone.
    pub(super) fn is_body_cut_off(&self) -> bool {
        let body = self.body.borrow();
        body.as_ref().is_some_and(|body| body.progress.is_cut_off())
    }

    /// While the handler runs: whether the request's body keeps the limits.
    pub(super) fn check_body(&self, cx: &mut Context<'_>) -> Result<(), Unanswered> {
        let mut body = self.body.borrow_mut();
        let Some(RequestBody { monitor, progress }) = &mut *body else {
            return Ok(());
        };
        // Before the response of the handler is dropped: an access log has this status in its place.
        if monitor.is_too_large() {
            monitor.reject(StatusCode::PAYLOAD_TOO_LARGE);
            return Err(Failure::BodyTooLarge.into());
        }
        if progress.is_malformed() {
            monitor.reject(StatusCode::BAD_REQUEST);
            return Err(Unanswered::BodyMalformed);
        }
        while let Poll::Ready(event) = monitor.poll_event(cx) {
            match event {
                // hyper sends it.
                BodyEvent::WantsContinue => {}
                BodyEvent::TooSlow => {
                    monitor.reject(StatusCode::REQUEST_TIMEOUT);
                    return Err(Failure::BodyTooSlow.into());
                }
            }
        }
        Ok(())
    }

    /// The server answers with this status in place of the handler, and ends the connection.
    pub(super) fn reject_body(&self, status: StatusCode) {
        let mut body = self.body.borrow_mut();
        // The client may be sending a body that is too large. Nothing follows the others.
        if status != StatusCode::PAYLOAD_TOO_LARGE && body.take().is_some() {
            self.unusable.set(true);
        }
    }
}
