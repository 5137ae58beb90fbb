//! How tasks of a worker share its thread, and what happens when a task is woken while it runs.
//!
//! A worker has one thread and no preemption. monoio runs all tasks that are ready before it looks at
//! sockets and timers, and a task that wakes itself may run again before all others. So there are two
//! questions, with one answer each.
//!
//! **What if a part of a connection is woken while the connection is being polled?** A handler that
//! sends a response wakes the engine; the engine, when it reads, wakes a handler. If each of these
//! reached the runtime, the task would run once more for each. [`PollGuard`] gives all parts one
//! waker: during a poll it only sets a flag, which the poll looks at before it ends; between polls
//! it wakes the task. [`Readable`] and [`RequestWaker`] also remember which part was woken, so that
//! a poll skips the others.
//!
//! **How does a task make way for others?** It does not wake itself, but asks the [`YieldQueue`] to,
//! which does so after all tasks that are ready now have run. From time to time the queue waits for a
//! timer, so that the runtime gets to look at sockets and timers even when tasks are always ready.
//! [`Phase`] says at which points a connection makes way.
//!
//! Other files bound what a peer may make a task do before it makes way: `io::read_budget` the bytes
//! that are read, `http2::throttle` the frames that pass.

mod phase;
mod poll_guard;
mod timer_yield;
mod yield_queue;

pub(crate) use self::{
    phase::{MAX_ROUNDS, Phase},
    poll_guard::{PollGuard, Readable, RequestWaker, Wakeups},
    yield_queue::YieldQueue,
};
