//! Drives crate h2, and is the only place that uses it. To use another implementation of HTTP/2,
//! rewrite this folder.
//!
//! The rest of the server sees a [`Connection`] that yields requests. Each [`Incoming`] request
//! comes apart into its head, a [`RequestStream`] to read its body from and a [`ResponseSender`],
//! which turns into a [`BodySender`] when the response's head is sent.
//!
//! All reading and writing happens within [`Connection::poll_request`]. The other types only fill
//! and empty its queues, so everything that they wait for arrives when that method is polled.

mod connection;
mod error;
mod ping;
mod request_stream;
mod response_sender;

pub(crate) use self::{
    connection::{Connection, Incoming, connect_protocol, goaway, handshake},
    error::ProtocolError,
    ping::Pings,
    request_stream::RequestStream,
    response_sender::{BodySender, PeerGone, ResetCode, ResponseSender},
};
