//! PING frames that the server sends (RFC 9113 section 6.7).

use std::{marker::PhantomData, task::Context};

/// Sends one PING at a time.
pub(crate) struct Pings<D> {
    ping_pong: h2::PingPong,
    awaited: bool,
    data: PhantomData<D>,
}

impl<D> Pings<D> {
    pub(super) fn new(ping_pong: h2::PingPong) -> Self {
        Self {
            ping_pong,
            awaited: false,
            data: PhantomData,
        }
    }

    /// Sends a PING, unless the last one is not answered yet.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>) {
        if !self.awaited && self.ping_pong.send_ping(h2::Ping::opaque()).is_ok() {
            self.awaited = true;
            // Registers the waker.
            self.poll_answer(cx);
        }
    }

    /// Notes an answer that has arrived, or registers the task to be woken by the next one.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) {
        if self.awaited {
            self.awaited = self.ping_pong.poll_pong(cx).is_pending();
        }
    }
}
