//! Drives an implementation of HTTP/2, and is the only place that uses one: crate h2 in `crate_h2`, and with feature
//! `http2-engine` crate corelane-http2 in `own`.
//!
//! The rest of the server sees a [`Connection`] that yields requests. Each [`Incoming`] request
//! comes apart into its head, a [`RequestStream`] to read its body from and a [`ResponseSender`],
//! which turns into a [`BodySender`] when the response's head is sent.
//!
//! All reading and writing happens within [`Connection::poll_request`]. The other types only fill
//! and empty its queues, so everything that they wait for arrives when that method is polled.

#[cfg(feature = "http2-engine")]
mod choice;
mod crate_h2;
mod goaway;
#[cfg(feature = "http2-engine")]
mod own;
mod stream;

#[cfg(feature = "http2-engine")]
pub(crate) use self::choice::{
    BodySender, Connection, Incoming, Pings, ProtocolError, RequestStream, ResponseSender,
    connect_protocol, handshake,
};
#[cfg(not(feature = "http2-engine"))]
pub(crate) use self::crate_h2::{
    BodySender, Connection, Incoming, Pings, ProtocolError, RequestStream, ResponseSender,
    connect_protocol, handshake,
};
pub(crate) use self::{
    goaway::goaway,
    stream::{PeerGone, ResetCode},
};
