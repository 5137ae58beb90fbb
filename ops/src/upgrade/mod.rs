//! Replaces a running server by a new process of the same program, without losing a connection.

mod attempt;
mod outcome;
mod program;
mod request;

pub use self::request::request_upgrade;
pub(crate) use self::{
    attempt::{Attempt, kill_unconfirmed, release},
    outcome::notify as notify_outcome,
    program::Program,
    request::send_signal,
};
