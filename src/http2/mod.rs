//! HTTP/2 on one connection: requests to the service, its responses back (RFC 9113).
//!
//! Sees a byte stream only; what is below it, TLS or not, is no matter here.

mod arrival;
mod body;
mod body_limit;
mod connection;
mod date;
mod declared_length;
mod flood;
mod frame_heads;
mod headers;
mod in_flight;
mod keep_alive;
mod later;
mod lazy_flush;
mod respond;
mod scope;
mod send;
mod throttle;
mod turn;
mod upload;

pub use self::{arrival::Refusal, body::Body};
pub(crate) use self::{
    connection::{Closed, preface, serve},
    scope::{Responder, Scope},
};
