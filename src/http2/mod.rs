//! HTTP/2 on one connection: requests to the service, its responses back (RFC 9113).
//!
//! It sees a byte stream only, with TLS below it or without. A request goes through the files in
//! this order:
//!
//! 1. `connection`: drives the engine ([`http2_engine`](crate::http2_engine)) and accepts requests;
//! 2. `in_flight`: polls the requests of the connection, in the same task;
//! 3. `request`: calls the service, with a [`Body`](crate::Body) to read, and sends the response's
//!    head;
//! 4. `send_body`: sends the response's body, through the room in `send_buffer`;
//!    A stream that was upgraded goes through `tunnel` instead;
//! 5. `transport`: puts the frames of all requests together, and flushes them.

mod answer;
mod clock;
mod connect;
mod connection;
mod context;
mod cookie;
mod credits;
mod flood_guard;
mod frame_heads;
mod half_close;
mod headers;
mod held_end;
mod in_flight;
mod keep_alive;
mod request;
mod send_body;
mod send_buffer;
mod throttle;
mod token_bucket;
mod transport;
mod tunnel;
mod worker_service;

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod throttle_tests;

pub(crate) use self::{
    connection::{Connection, preface, refuse, serve},
    context::ConnectionContext,
    worker_service::WorkerService,
};
