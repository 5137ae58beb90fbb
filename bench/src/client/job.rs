//! The messages between the harness and the client's process, as lines of JSON.
//!
//! The harness writes a [`Job`] and the client answers [`Answer::Ready`]. The harness writes a line,
//! and the client starts and answers [`Answer::Done`]; a [`Task::Steady`] or [`Task::Growth`] does so
//! for every further line. At the end of its input the process closes its connections and exits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::{floods::Attacked, growth, restarts};

/// Time limit of one connection and its request, among hundreds. If loads take turns, each is
/// stopped for most of this time, but for less than a second at once.
pub const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize, Serialize)]
pub struct Job {
    pub target: Target,
    pub task: Task,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Task {
    /// Connects, sends one request and closes, `count` times.
    Handshakes { count: u32, resumed: bool },
    /// Opens all connections at once, each for one request.
    Storm { connections: u32 },
    /// Connects, sends one request and keeps the connection open.
    Idle { connections: u32 },
    /// Sends `rate` requests per second.
    Paced {
        requests: u32,
        connections: u32,
        rate: f64,
    },
    /// Sends `rate` requests per second, as many as each order says.
    Steady { connections: u32, rate: f64 },
    /// Sends as many requests as each order says, or opens as many connections.
    Growth(growth::Load),
    /// Runs the flood of this name.
    Flood { name: String, seconds: f64 },
    /// Opens new connections at a rate, each for one request, beside connections that stay open.
    Restarts(restarts::Load),
}

/// The result of a task.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Done {
    pub seconds: f64,
    /// Microseconds of each request, for tasks that measure latency; of a storm, since its beginning.
    pub took: Vec<f64>,
    pub attacked: Option<Attacked>,
    pub restarts: Option<restarts::Counted>,
}

#[derive(Debug, Deserialize, Serialize)]
pub enum Answer {
    Ready,
    Done(Done),
    Failed(String),
}
