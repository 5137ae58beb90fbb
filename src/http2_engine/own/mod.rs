//! Crate corelane-http2, on a transport.
//!
//! A [`Connection`] owns the transport, and shares the state of the engine with the requests of the
//! connection: all of them stay on its thread. Only [`RequestStream`] may leave it, so bodies of requests
//! pass through a queue with a lock.

mod connection;
mod error;
mod handshake;
mod inbox;
mod input;
mod output;
mod ping;
mod request_stream;
mod response_sender;
mod shared;

pub(super) use self::{
    connection::{Connection, Incoming},
    error::EngineError,
    handshake::{connect_protocol, handshake},
    ping::Pings,
    request_stream::RequestStream,
    response_sender::{BodySender, ResponseSender},
};
