//! What a process needs around a [`corelane::Server`] to run for years: signals, upgrades that lose no
//! connection, systemd, reloads, an admin port and an access log. The command `corelane` is built on
//! it. It runs on Linux.
//!
//! A service with all of that:
//!
//! ```ignore
#![doc = include_str!("../examples/service.rs")]
//! ```
//!
//! | part | item |
//! |---|---|
//! | SIGINT, SIGTERM and SIGQUIT shut down, SIGUSR2 upgrades | [`Lifecycle`] |
//! | sockets from systemd or from the replaced process | [`Inherited`] |
//! | systemd's `Type=notify`, `WatchdogSec=` | [`Lifecycle::start`] |
//! | SIGHUP and changed files reload | [`Reload`], [`WatchedFiles`] |
//! | `/metrics`, `/healthz` and `/readyz` | [`Admin`], [`Health`] |
//! | access log | [`AccessLog`], [`AccessLogLayer`] |
//! | log on standard error that delays no worker | [`EventLog`] |
//! | pid file | [`Lifecycle::pid_file`], [`PidFile`] |
//! | `upgrade` and `reload` as commands | [`request_upgrade`], [`request_reload`] |
//!
//! # Upgrades
//!
//! On SIGUSR2 the process starts its program again, with the same arguments, and passes it the
//! listening sockets by systemd's protocol. The new process reports when it serves. Then the old one
//! answers what it has accepted, and ends. No connection is lost: the sockets stay open throughout.
//! When the new process fails or takes too long, the old one goes on and logs why.
//!
//! # Cargo features
//!
//! Both are on by default. The crate has no TLS backend: corelane's features choose it.
//!
//! - `access-log`: [`AccessLog`] and its layer.
//! - `admin`: [`Admin`] and [`CertificateExpiry`], with corelane's feature `metrics`.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]
#![warn(unreachable_pub, clippy::incompatible_msrv)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

#[cfg(feature = "access-log")]
mod access_log;
#[cfg(feature = "admin")]
mod admin;
mod error;
mod event_log;
mod event_loop;
mod health;
mod inherited;
mod lifecycle;
mod listen_addr;
mod log_writer;
mod outcome;
mod pid_file;
mod process;
mod protocol;
mod reload;
mod reload_status;
mod request;
mod systemd;
mod timing;
mod upgrade;
mod watchdog;
mod watched_files;
mod writable;

#[cfg(feature = "access-log")]
pub use tower_layer;

#[cfg(feature = "access-log")]
pub use self::access_log::{
    AccessLog, AccessLogFormat, AccessLogFuture, AccessLogLayer, AccessLogService, RecordedBody,
};
#[cfg(feature = "admin")]
pub use self::admin::{Admin, CertificateExpiry};
pub use self::{
    error::Error,
    event_log::{EventLog, EventWriter},
    health::{Health, HealthState},
    inherited::Inherited,
    lifecycle::{Lifecycle, Running},
    listen_addr::ListenAddr,
    pid_file::PidFile,
    reload::{Reload, Reloaded},
    request::{request_reload, request_upgrade},
    timing::Timing,
    watched_files::WatchedFiles,
    writable::{check_writable, write_file},
};
