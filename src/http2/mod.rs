//! HTTP/2 on one connection: requests to the service, its responses back (RFC 9113).
//!
//! Sees a byte stream only; what is below it, TLS or not, is no matter here.

mod arrival;
mod body;
mod body_limit;
mod connection;
mod context;
mod date;
mod declared_length;
mod flood_guard;
mod frame_heads;
mod headers;
mod in_flight;
mod keep_alive;
mod request;
mod send;
mod throttle;
mod transport;
mod upload;
mod worker_service;

pub use self::{arrival::Rejection, body::Body};
pub(crate) use self::{
    connection::{Closed, preface, serve},
    context::ConnectionContext,
    worker_service::WorkerService,
};
