#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![warn(unreachable_pub, clippy::incompatible_msrv)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod alert;
mod alpn;
mod buffer;
mod config;
mod connection_info;
mod counters;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod http2;
mod io;
#[cfg(feature = "metrics")]
mod metrics;
mod negotiated;
mod schedule;
mod scratch;
mod server;
mod service;
mod time;
pub mod tls;

pub use ipnet::IpNet;

pub use self::{
    alert::AlertDescription,
    alpn::{AlpnMissing, ProtocolName},
    config::{
        BACKLOG, Http2Config, Limits, MAX_CONNECTIONS, MAX_HANDSHAKES, SHUTDOWN_DEADLINE,
        TCP_KEEP_ALIVE,
    },
    connection_info::ConnectionInfo,
    counters::WorkerCounters,
    error::{Chain, Error},
    http2::{Body, Rejection},
    io::TlsStream,
    server::{
        ActiveDriver, Affinity, Builder, ConnectionOptions, Driver, Handle, Observer, Reloader,
        Server, WorkerInfo, WorkerStatus, serve_connection,
    },
    service::{HttpService, ServiceFn, WithConnectionInfo, service_fn, with_connection_info},
};
