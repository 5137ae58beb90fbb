//! A server connection of HTTP/2 without I/O.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod hpack;
