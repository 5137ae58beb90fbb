//! The state that the requests of one connection share.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use super::{clock::Clock, credits::FrameCredits, headers::ContentLength, send_buffer::SendBuffer};
use crate::{
    body::BodyLimits,
    config::{Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    time::Timer,
    upgrade::Policy,
};

/// Built once for each connection.
pub(crate) struct ConnectionContext {
    pub(crate) info: Arc<ConnectionInfo>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) clock: Clock,
    pub(super) counters: Arc<Counters>,
    pub(super) body_limits: BodyLimits,
    pub(crate) send_buffer: Rc<SendBuffer>,
    pub(super) content_length: ContentLength,
    pub(super) credits: FrameCredits,
    /// The peer has ended its side: neither data nor window can arrive.
    pub(super) input_ended: Cell<bool>,
    /// There was a gRPC call or an upgrade, which have no other time limit: PING finds out whether its
    /// peer is still there.
    pub(super) wants_pings: Cell<bool>,
    /// Which requests can be upgraded.
    pub(super) upgrades: Policy,
    /// The server has sent GOAWAY because it shuts down.
    pub(super) shutting_down: Cell<bool>,
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
            timer,
            clock: Clock::new(timer),
            counters: Arc::clone(counters),
            body_limits: BodyLimits::new(config.max_request_body_size, limits, timer),
            send_buffer: Rc::new(SendBuffer::new(config.max_send_buffer_size)),
            content_length: ContentLength::default(),
            credits: FrameCredits::default(),
            input_ended: Cell::new(false),
            wants_pings: Cell::new(false),
            upgrades,
            shutting_down: Cell::new(false),
        }
    }

    /// The silence before a PING.
    pub(super) fn keep_alive_interval(&self) -> Option<Duration> {
        let wanted = self.wants_pings.get().then_some(self.limits.body);
        self.limits.keep_alive_interval.or(wanted)
    }
}
