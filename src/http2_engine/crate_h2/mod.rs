//! Crate h2.

mod connection;
mod error;
mod ping;
mod request_stream;
mod response_sender;

pub(crate) use self::{
    connection::{Connection, Incoming, connect_protocol, handshake},
    error::ProtocolError,
    ping::Pings,
    request_stream::RequestStream,
    response_sender::{BodySender, ResponseSender},
};
