//! Upgrades of both versions of HTTP, on every backend and driver.
#![cfg(all(feature = "http1", feature = "upgrade"))]

mod service;
mod streams;
