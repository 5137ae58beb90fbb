//! HTTP/2 over TLS, one server per core.
//!
//! Every core runs a worker: a thread with its own [monoio] runtime (io_uring, or epoll where io_uring
//! is not available), its own listening sockets, joined by `SO_REUSEPORT`, and its own connections. A
//! connection stays on the core that accepted it, and the workers share nothing on the way of a
//! request. The TLS backend is a value that you give to the server: rustls, the system's OpenSSL,
//! the system's library through native-tls, or one of your own.
//!
//! ```no_run
//! # #[cfg(feature="rustls")]
//! # mod example {
//! use std::convert::Infallible;
//!
//! use corelane::{
//!     Body, Server,
//!     http::{Request, Response},
//!     service_fn,
//!     tls::{Identity, RustlsAcceptor, TlsConfig},
//! };
//!
//! async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
//!     let worker = request.body().connection().worker;
//!     Ok(Response::new(format!("hello from worker {worker}\n")))
//! }
//!
//! fn main() -> Result<(), corelane::Error> {
//!     let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
//!     let acceptor = RustlsAcceptor::new(&TlsConfig::new(identity))?;
//!     let handle = Server::builder(acceptor)
//!         .listen("0.0.0.0:8443")
//!         .bind()?
//!         .serve(|_worker| service_fn(hello))?;
//!     handle.wait()
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # Where to start
//!
//! - [`Server::builder`] takes the backend and gives the options; [`Builder::bind`] opens the sockets,
//!   [`Server::serve`] starts the workers.
//! - [`Handle`] controls a running server: shutdown, waiting, new certificates, counters.
//! - [`HttpService`] is what answers requests: any `tower` service over [`Body`], for example
//!   [`service_fn`] or an `axum::Router`. Nothing in it needs to be `Send`.
//! - [`tls`] has the backends and [`TlsConfig`](tls::TlsConfig): certificates, client certificates,
//!   session tickets, server names.
//! - [`Limits`], [`Http2Config`] and [`config`] have every limit with its default and its reason.
//! - [`serve_connection`] serves a single socket in a monoio runtime of your own.
//!
//! # Protocol
//!
//! The server speaks HTTP/2, and other protocols if [`Builder::protocols`] lists them. It reads the
//! ClientHello and applies one rule for every backend: the first of its protocols that the client offers
//! by ALPN is chosen; otherwise the handshake ends with the alert `no_application_protocol` (120).
//! [`AlpnMissing`] decides about clients without ALPN.
//! [`tls::Cleartext`] serves HTTP/2 with prior knowledge without TLS, and HTTP/1.1 if it is in the list.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `rustls` | yes | `tls::RustlsAcceptor` |
//! | `aws-lc-rs` | yes | the crypto provider of rustls |
//! | `ring` | | another crypto provider; `aws-lc-rs` wins where both are on |
//! | `native-tls` | | `tls::NativeTlsAcceptor`, the system's OpenSSL |
//! | `native-tls-vendored` | | the same, with OpenSSL compiled in |
//! | `openssl` | | `tls::OpensslAcceptor`, the system's OpenSSL with all that rustls has here |
//! | `openssl-vendored` | | the same, with OpenSSL compiled in |
//! | `tokio` | yes | handlers use a tokio runtime: `Builder::tokio` |
//! | `http1` | | HTTP/1.1 beside HTTP/2, see [`Builder::protocols`] |
//! | `http2-engine` | | `Http2Engine::Corelane`, see [`Builder::http2_engine`] |
//! | `upgrade` | | `Upgrade`: WebSocket and other protocols on HTTP/2, and on HTTP/1.1 with `http1` |
//! | `metrics` | | `Handle::record_metrics`, for the crate metrics |
//!
//! Features only add items. The acceptor that you give to [`Server::builder`] decides which backend
//! serves, whatever else is enabled.
//!
//! # Public dependencies
//!
//! Types of these crates are part of this interface, and are re-exported so that you can use the same
//! versions: [`bytes`], [`http`], [`http_body`], [`ipnet`], [`monoio`], [`tokio`] (its I/O traits) and
//! [`tower_service`], with their features `rustls`, `openssl` and `native_tls`. This crate moves to an incompatible
//! version of one of them only in an incompatible version of its own.
//!
//! # Platform
//!
//! Linux. Handlers run on monoio, in the context of a tokio runtime if there is one
//! (`Builder::tokio`): the timers and sockets of both work in them.
//!
//! [monoio]: https://github.com/bytedance/monoio

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]
#![warn(unreachable_pub, clippy::incompatible_msrv, clippy::missing_errors_doc)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod alert;
mod alpn;
mod body;
mod buffer;
mod closing;
pub mod config;
mod connection_info;
mod counters;
mod error;
mod file;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
#[cfg(feature = "http1")]
mod http1;
mod http2;
mod http2_engine;
mod io;
#[cfg(feature = "metrics")]
mod metrics;
mod negotiated;
mod response;
mod schedule;
mod scratch;
mod server;
mod service;
mod time;
pub mod tls;
mod upgrade;

pub use self::{
    alert::AlertDescription,
    alpn::{AlpnMissing, ProtocolName},
    body::{Body, Rejection},
    connection_info::ConnectionInfo,
    counters::{Durations, WorkerCounters},
    error::{Chain, Error},
    file::read_file,
    io::TlsStream,
    server::{
        AcceptedStream, ActiveDriver, Affinity, Builder, ClientStream, ConnectionOptions, Driver,
        GrpcTimeout, GrpcTimeoutBody, GrpcTimeoutFuture, Handle, Observer, ProtocolStream,
        Reloader, Server, Shutdown, WorkerInfo, WorkerStatus, grpc_timeout, listen,
        serve_connection,
    },
    service::{
        HttpService, ServiceFn, WithConnectionInfo, WithExtension, service_fn,
        with_connection_info, with_extension,
    },
};

#[cfg(feature = "upgrade")]
#[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
pub use self::upgrade::{Upgrade, Upgraded};

#[doc(inline)]
pub use self::config::{Http2Config, Http2Engine, Limits};
#[allow(
    unused_imports,
    unreachable_pub,
    reason = "empty in a build without a TLS library"
)]
pub use self::tls::crates::*;
#[doc(no_inline)]
pub use {bytes, http, http_body, ipnet, ipnet::IpNet, monoio, tokio, tower_service};

/// The declarations behind the tables in docs/, for the tests that write them. Not part of the public
/// interface.
#[doc(hidden)]
pub mod reference {
    pub use crate::{
        config::{DefaultValue, LIMITS, Limit},
        counters::{METRICS, Metric, MetricKind},
    };
}
