//! The state that the connections of one worker share: built once, then lent to each.

use std::rc::Rc;

use super::{in_flight::Pool, request::RequestTask};
use crate::{schedule::YieldQueue, service::HttpService};

/// The service, and what its connections share.
pub(crate) struct WorkerService<S: HttpService> {
    pub(super) service: S,
    pub(super) pool: Rc<Pool<RequestTask<S>>>,
    yield_queue: Rc<YieldQueue>,
}

impl<S: HttpService> WorkerService<S> {
    pub(crate) fn new(service: S) -> Self {
        Self {
            service,
            pool: Rc::new(Pool::new()),
            yield_queue: Rc::default(),
        }
    }

    #[cfg(feature = "http1")]
    pub(crate) fn service(&self) -> S {
        self.service.clone()
    }

    /// The queue in which the connections of the worker yield to each other. It needs a task that
    /// [runs](YieldQueue::run) it; without one a yield has no effect.
    pub(crate) fn yield_queue(&self) -> Rc<YieldQueue> {
        Rc::clone(&self.yield_queue)
    }
}
