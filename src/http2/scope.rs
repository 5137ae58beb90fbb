//! What requests share: those of a worker, and those of a connection.

use std::{rc::Rc, sync::Arc};

use super::{
    flood::Tally, headers::ContentLength, in_flight::Pool, later::Later, respond::Respond,
    send::SendBuffer,
};
use crate::{
    config::{Http2Config, Limits},
    connection_info::ConnectionInfo,
    counters::Counters,
    service::HttpService,
    time::Timer,
};

/// Answers the requests of all connections of a worker.
pub(crate) struct Responder<S: HttpService> {
    pub(super) service: S,
    pub(super) pool: Rc<Pool<Respond<S>>>,
    later: Rc<Later>,
}

impl<S: HttpService> Responder<S> {
    pub(crate) fn new(service: S) -> Self {
        Self {
            service,
            pool: Rc::new(Pool::new()),
            later: Rc::default(),
        }
    }

    /// What its connections make way for each other by, where somebody runs it.
    pub(crate) fn later(&self) -> Rc<Later> {
        Rc::clone(&self.later)
    }
}

/// What the requests of a connection share.
pub(crate) struct Scope {
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) counters: Arc<Counters>,
    pub(super) max_body_size: Option<u64>,
    pub(crate) send_buffer: Rc<SendBuffer>,
    pub(super) content_length: ContentLength,
    pub(super) tally: Tally,
}

impl Scope {
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
            tally: Tally::default(),
        }
    }
}
