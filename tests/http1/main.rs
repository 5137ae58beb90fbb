//! HTTP/1.1 on every backend and driver: messages, connections that are kept or closed, limits.
#![cfg(feature = "http1")]

mod closing;
mod hostile;
mod limits;
mod messages;
mod service;
