//! The harness's own client, for tasks that h2load cannot do: resume sessions, tell a resumed
//! handshake from a full one, keep connections open, and attack. It runs as a separate process, on
//! the client's core.

pub mod connection;
mod handshakes;
pub mod http1;
pub mod http2;
mod idle;
mod job;
mod paced;
mod process;
mod steady;
mod storm;
mod target;
mod work;

pub use self::{
    job::{DEADLINE, Done, Job, Task},
    process::{Client, this_program},
    target::{Target, negotiated},
    work::run,
};
