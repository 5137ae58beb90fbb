//! The server: one thread per core, each with its own runtime, listeners and connections.

mod accept_loop;
mod accept_tls;
mod accepted_stream;
mod builder;
mod builder_bind;
mod builder_unix;
#[cfg(feature = "upgrade")]
mod builder_upgrade;
mod client_addr;
mod client_stream;
mod closing_stream;
mod connection;
mod connection_options;
mod current_acceptor;
mod current_options;
mod descriptors;
mod grpc_timeout;
mod handle;
mod handshake_limiter;
mod heartbeat;
mod linger;
mod listener;
mod listening_socket;
mod listens;
mod local_shutdown;
mod log_rate_limiter;
mod observer;
mod protocol_handler;
mod protocol_stream;
mod reconfigure;
mod reloader;
mod ring_runtime;
#[cfg(target_os = "linux")]
mod ring_socket;
mod runtime;
mod shutdown;
mod socket;
mod start;
mod task_tracker;
mod timeout;
mod tokio_runtime;
mod unix_socket;
mod worker;
mod workers_end;

pub use self::{
    accepted_stream::AcceptedStream,
    builder::{Affinity, Builder},
    client_stream::ClientStream,
    connection::serve_connection,
    connection_options::ConnectionOptions,
    grpc_timeout::{GrpcTimeout, GrpcTimeoutBody, GrpcTimeoutFuture, grpc_timeout},
    handle::Handle,
    listener::listen,
    observer::{Observer, WorkerStatus},
    protocol_stream::ProtocolStream,
    reloader::Reloader,
    runtime::{ActiveDriver, Driver},
    shutdown::Shutdown,
    start::Server,
    worker::WorkerInfo,
};
