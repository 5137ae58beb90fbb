//! Static files and a reverse proxy for corelane, as services.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod body;
mod files;
mod plain;
mod proxy;

pub use self::{
    body::ResponseBody,
    files::Files,
    proxy::{Proxy, ProxyOptions, Upstream, WorkerProxy},
};
