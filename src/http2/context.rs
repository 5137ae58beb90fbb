//! What the requests of one connection share.

use std::{rc::Rc, sync::Arc};

use super::{flood_guard::FrameCredits, headers::ContentLength, send::SendBuffer};
use crate::{
    config::{Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    time::Timer,
};

/// What the requests of a connection share.
pub(crate) struct ConnectionContext {
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) counters: Arc<Counters>,
    pub(super) max_body_size: Option<u64>,
    pub(crate) send_buffer: Rc<SendBuffer>,
    pub(super) content_length: ContentLength,
    pub(super) credits: FrameCredits,
}

impl ConnectionContext {
    pub(crate) fn new(
        info: ConnectionInfo,
        limits: &Limits,
        config: &Http2Config,
        timer: Timer,
        counters: &Arc<Counters>,
    ) -> Self {
        Self {
            info: Arc::new(info),
            limits: limits.clone(),
            timer,
            counters: Arc::clone(counters),
            max_body_size: config.max_request_body_size,
            send_buffer: Rc::new(SendBuffer::new(config.max_send_buffer_size)),
            content_length: ContentLength::default(),
            credits: FrameCredits::default(),
        }
    }
}
