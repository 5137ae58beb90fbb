//! HTTP/1.1 on one connection: requests to the service, its responses back (RFC 9112).
//!
//! It sees a byte stream only, with TLS below it or without. Crate hyper parses requests and writes
//! responses; the files here hold it to the limits of the server. A request goes through them in this
//! order:
//!
//! 1. `connection`: drives hyper's connection, and measures the time limits;
//! 2. `wire`: the stream under it, which sees when a request begins and when the client ends its side;
//! 3. `validate`: refuses requests that hyper takes and HTTP does not;
//! 4. `request`: calls the service, with a [`Body`](crate::Body) to read;
//! 5. `response`: completes the response's head, and checks its body as hyper takes it.
//!
//! `upgrade` offers an upgrade to the handler. Once the response has accepted it, `tunnel` moves the bytes
//! of the connection, without hyper.

mod connection;
#[cfg(test)]
mod connection_tests;
mod context;
mod request;
mod response;
mod tunnel;
mod upgrade;
mod validate;
mod wire;

pub(crate) use self::{connection::serve, context::ConnectionContext};
