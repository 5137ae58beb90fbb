//! Scheduling between the tasks of a worker and within one.

mod poll_guard;
mod yield_queue;

pub(crate) use self::{
    poll_guard::{PollGuard, Readable, RequestWaker, Wakeups},
    yield_queue::YieldQueue,
};
