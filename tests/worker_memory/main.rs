//! Tests how much memory a connection holds, as a count of what Rust allocates on the worker's thread, where
//! the handlers run too. OpenSSL's own buffers, two records per connection, are not included.
#![cfg(feature = "http1")]

mod counting;
mod floods;
mod http1;
#[cfg(feature = "upgrade")]
mod upgrades;

/// What rustls' session holds, bytes. Those of other backends are less of Rust's memory.
const SESSION: usize = 7 * 1024;
