//! The server: one thread per core, each with its own runtime, listeners and connections.

mod accept_loop;
mod builder;
mod connection;
mod current_acceptor;
mod handle;
mod handshake_limiter;
mod linger;
mod listener;
mod local_shutdown;
mod log_rate_limiter;
mod observer;
mod runtime;
mod socket;

#[cfg(target_os = "linux")]
mod ring_socket;
mod worker;

pub use self::{
    builder::{Affinity, Builder, Server},
    connection::{ConnectionOptions, serve_connection},
    current_acceptor::Reloader,
    handle::Handle,
    observer::{Observer, WorkerStatus},
    runtime::{ActiveDriver, Driver},
    worker::WorkerInfo,
};
