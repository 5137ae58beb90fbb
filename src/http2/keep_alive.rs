//! Finds out by PING whether a silent peer is still there (RFC 9113 section 6.7).

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::send_buffer::Chunk;
use crate::{
    config::Limits,
    http2_engine::Pings,
    time::{Deadline, Timer},
};

/// Sends a PING to a peer that has been silent while a stream is open. Every byte that arrives
/// counts as an answer, because the answer to the PING may follow a long upload.
pub(super) struct KeepAlive {
    pings: Pings<Chunk>,
    /// Time until the PING is sent.
    silence: Deadline,
    /// Time until the connection is closed.
    answer: Deadline,
    received: u64,
}

impl KeepAlive {
    pub(super) fn new(
        pings: Pings<Chunk>,
        interval: Duration,
        limits: &Limits,
        timer: Timer,
    ) -> Self {
        Self {
            silence: Deadline::new(timer, interval),
            answer: Deadline::new(timer, limits.keep_alive_timeout),
            pings,
            received: 0,
        }
    }

    /// Ready when the peer counts as gone. `received`: bytes so far.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        received: u64,
        streams_open: bool,
    ) -> Poll<()> {
        self.pings.poll_answer(cx);
        let heard = received != self.received;
        self.received = received;
        if heard || !streams_open {
            self.silence.progress();
            self.answer.progress();
        }
        if !streams_open || self.silence.poll_waiting(cx).is_pending() {
            return Poll::Pending;
        }
        self.pings.send(cx);
        self.answer.poll_waiting(cx)
    }
}
