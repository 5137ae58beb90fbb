//! HTTP/2 on one connection: requests to the service, its responses back (RFC 9113).
//!
//! Sees a byte stream only; what is below it, TLS or not, is no matter here.

mod arrival;
mod body;
mod connection;
mod date;
mod flood;
mod headers;
mod lazy_flush;
mod respond;
mod send;

pub use self::body::Body;
pub(crate) use self::{
    connection::{Closed, Scope, preface, serve},
    respond::panic_message,
};
