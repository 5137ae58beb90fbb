//! Whether a peer that says nothing is still there: PING (RFC 9113 section 6.7).

use std::task::{Context, Poll};

use h2::{Ping, PingPong};

use crate::{
    config::Limits,
    time::{Deadline, Timer},
};

/// Asks peers that have been silent while a stream is open. Every byte that arrives is an answer:
/// the one to PING may be behind a long upload.
pub(super) struct KeepAlive {
    pings: PingPong,
    /// Up to the next question.
    silence: Deadline,
    /// Up to the end of the connection.
    answer: Deadline,
    received: u64,
    asked: bool,
}

impl KeepAlive {
    /// `None` where it is not wanted.
    pub(super) fn new(pings: Option<PingPong>, limits: &Limits, timer: Timer) -> Option<Self> {
        Some(Self {
            silence: Deadline::new(timer, limits.keep_alive_interval?),
            answer: Deadline::new(timer, limits.keep_alive_timeout),
            pings: pings?,
            received: 0,
            asked: false,
        })
    }

    /// Ready when the peer is taken for gone. `received`: bytes so far.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        received: u64,
        streams_open: bool,
    ) -> Poll<()> {
        if self.asked {
            self.asked = self.pings.poll_pong(cx).is_pending();
        }
        let heard = received != self.received;
        self.received = received;
        if heard || !streams_open {
            self.silence.progress();
            self.answer.progress();
        }
        if !streams_open || self.silence.poll_waiting(cx).is_pending() {
            return Poll::Pending;
        }
        if !self.asked && self.pings.send_ping(Ping::opaque()).is_ok() {
            self.asked = true;
            // Whoever answers is to wake this task.
            let _ = self.pings.poll_pong(cx);
        }
        self.answer.poll_waiting(cx)
    }
}
