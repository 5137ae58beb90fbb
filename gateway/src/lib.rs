//! Static files and a reverse proxy for corelane, as services.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod files;
mod proxy;

pub use self::{
    files::Files,
    proxy::{Proxy, Upstream},
};

/// The body of every response of this crate.
pub type ResponseBody = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, corelane::Error>;
