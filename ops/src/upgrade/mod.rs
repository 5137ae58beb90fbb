//! Replaces a running server by a new process of the same program, without losing a connection.

mod attempt;
mod child;
mod draining;
mod program;

pub(crate) use self::{
    attempt::{Attempt, kill_unconfirmed, release},
    draining::{DrainReport, Draining},
    program::Program,
};
