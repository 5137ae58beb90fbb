//! When a connection sends GOAWAY, and why it has ended (RFC 9113 section 6.8).

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
    /// After GOAWAY the peer answered nothing within [`config::GOAWAY_ANSWER`].
    Unanswered,
}

/// Waits for the server's shutdown, then for the first request of a new connection that has sent none.
pub(super) struct Shutdown<F> {
    signal: F,
    opened: Instant,
    has_requests: bool,
    /// From the signal on: the time for the first request.
    first_request: Option<Box<Deadline>>,
    closed: Closed,
}

impl<F: Future<Output = ()> + Unpin> Shutdown<F> {
    pub(super) fn new(signal: F, timer: Timer) -> Self {
        Self {
            signal,
            opened: (timer.now)(),
            has_requests: false,
            first_request: None,
            closed: Closed::ByPeer,
        }
    }

    pub(super) fn request_received(&mut self) {
        self.has_requests = true;
    }

    /// Looks whether the server shuts down.
    pub(super) fn poll_signal(&mut self, cx: &mut Context<'_>, timer: Timer) {
        if self.first_request.is_none() && Pin::new(&mut self.signal).poll(cx).is_ready() {
            let age = (timer.now)().saturating_duration_since(self.opened);
            let left = config::FIRST_REQUEST.saturating_sub(age);
            let wait = Deadline::new(timer, left);
            self.first_request = Some(Box::new(wait));
        }
    }

    /// Ready when GOAWAY is due because of the shutdown. Never after [`sent`](Self::sent).
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sent = self.is_sent();
        match &mut self.first_request {
            Some(_) if !sent && self.has_requests => Poll::Ready(()),
            Some(wait) if !sent => wait.poll_waiting(cx),
            _ => Poll::Pending,
        }
    }

    /// Notes that GOAWAY was sent.
    pub(super) fn sent(&mut self, why: Closed) {
        self.closed = why;
    }

    pub(super) fn is_sent(&self) -> bool {
        self.closed != Closed::ByPeer
    }

    /// Why the connection ends.
    pub(super) fn closed(&self) -> Closed {
        self.closed
    }
}
