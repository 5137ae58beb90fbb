//! Upgrades by both versions of HTTP, on every backend.
#![cfg(all(feature = "http1", feature = "upgrade"))]

mod requests;
mod service;
mod shutdown;
mod streams;
