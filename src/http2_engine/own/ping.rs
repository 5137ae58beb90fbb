//! PING frames that the server sends (RFC 9113 section 6.7).

use std::task::Context;

use bytes::Buf;

use super::shared::Handle;

/// The payload of a PING that asks whether the client is there, which crate h2 has chosen: both look the same to a
/// client.
pub(super) const KEEP_ALIVE: [u8; 8] = [59, 124, 219, 122, 11, 135, 22, 180];

/// The payload of the PING behind the first GOAWAY.
pub(super) const SHUTDOWN: [u8; 8] = *b"shutdown";

/// Sends one PING at a time.
pub(crate) struct Pings<D> {
    shared: Handle<D>,
    awaited: bool,
}

impl<D: Buf> Pings<D> {
    pub(super) fn new(shared: Handle<D>) -> Self {
        Self {
            shared,
            awaited: false,
        }
    }

    /// Sends a PING, unless the last one is not answered yet.
    pub(crate) fn send(&mut self, _cx: &mut Context<'_>) {
        if !self.awaited {
            self.awaited = true;
            let mut shared = self.shared.borrow_mut();
            shared.keep_alive_answered = false;
            shared.engine.ping(KEEP_ALIVE);
            shared.notify();
        }
    }

    /// Notes an answer that has arrived. The task of the connection is woken by the next one.
    pub(crate) fn poll_answer(&mut self, _cx: &mut Context<'_>) {
        if self.awaited {
            self.awaited = !self.shared.borrow().keep_alive_answered;
        }
    }
}
