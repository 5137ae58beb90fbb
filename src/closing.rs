//! When a connection ends because of the server's shutdown, and why it has ended.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use crate::{
    config,
    time::{Deadline, Timer},
};

/// Why a connection ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    ByPeer,
    Idle,
    Shutdown,
    /// After GOAWAY (RFC 9113 section 6.8) the peer answered nothing within
    /// [`config::GOAWAY_ANSWER`].
    Unanswered,
    /// The handler failed when its response had begun, or answered before it had read the request.
    #[cfg(feature = "http1")]
    ByServer,
}

/// Waits for the server's shutdown, then for the first request of a new connection that has sent none.
pub(crate) struct Shutdown<F> {
    signal: F,
    opened: Instant,
    has_requests: bool,
    /// From the signal on: the time for the first request.
    first_request: Option<Box<Deadline>>,
    closed: Closed,
}

impl<F: Future<Output = ()> + Unpin> Shutdown<F> {
    pub(crate) fn new(signal: F, timer: Timer) -> Self {
        Self {
            signal,
            opened: (timer.now)(),
            has_requests: false,
            first_request: None,
            closed: Closed::ByPeer,
        }
    }

    pub(crate) fn request_received(&mut self) {
        self.has_requests = true;
    }

    /// Looks whether the server shuts down.
    pub(crate) fn poll_signal(&mut self, cx: &mut Context<'_>, timer: Timer) {
        if self.first_request.is_none() && Pin::new(&mut self.signal).poll(cx).is_ready() {
            let age = (timer.now)().saturating_duration_since(self.opened);
            let left = config::FIRST_REQUEST.saturating_sub(age);
            let wait = Deadline::new(timer, left);
            self.first_request = Some(Box::new(wait));
        }
    }

    /// Whether the server shuts down.
    #[cfg(feature = "http1")]
    pub(crate) fn is_signalled(&self) -> bool {
        self.first_request.is_some()
    }

    /// Ready when the connection has to end because of the shutdown. Never after [`sent`](Self::sent).
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sent = self.is_sent();
        match &mut self.first_request {
            Some(_) if !sent && self.has_requests => Poll::Ready(()),
            Some(wait) if !sent => wait.poll_waiting(cx),
            _ => Poll::Pending,
        }
    }

    /// Notes that GOAWAY was sent.
    pub(crate) fn sent(&mut self, why: Closed) {
        self.closed = why;
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.closed != Closed::ByPeer
    }

    /// Why the connection ends.
    pub(crate) fn closed(&self) -> Closed {
        self.closed
    }
}
