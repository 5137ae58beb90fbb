//! A server's side of HTTP/2 (RFC 9113) without I/O: bytes in, events out; commands in, bytes out.
//!
//! A [`Connection`] belongs to one thread. It has no runtime, no clock, no locks and no sockets:
//! the caller gives it what was read, acts on [`Event`]s by calling its methods, and sends what it
//! writes into a buffer of the caller's. Start at [`Connection`]: it says what to call in which
//! order, and what it holds at most.
//!
//! ```
//! use bytes::Bytes;
//! use corelane_http2::{Config, Connection, Event};
//! use http::{HeaderMap, StatusCode};
//!
//! /// Answers everything with a greeting.
//! fn exchange(connection: &mut Connection, mut input: &[u8], output: &mut Vec<u8>) {
//!     // An error is in the output, too: as GOAWAY.
//!     while let Ok(Some(event)) = connection.receive(&mut input) {
//!         if let Event::Request { stream, .. } = event {
//!             // The client may have reset the stream meanwhile.
//!             let _ = connection.respond(stream, StatusCode::OK, &HeaderMap::new(), false);
//!             let _ = connection.send_data(stream, Bytes::from_static(b"hello"), true);
//!         }
//!     }
//!     while connection.wants_transmit() {
//!         connection.transmit(output, 16 * 1024);
//!     }
//!     // It has no more data for streams whose data was sent.
//!     while connection.poll_writable().is_some() {}
//! }
//!
//! let mut connection = Connection::new(Config::default());
//! let mut output = Vec::new();
//! exchange(&mut connection, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", &mut output);
//! assert_eq!(output[3], 4, "SETTINGS");
//! ```
//!
//! | what | RFC | file |
//! |---|---|---|
//! | preface, frames | 9113 sections 3.4, 4, 6 | `connection/receive.rs`, `connection/frames.rs`, `frame.rs` |
//! | streams | 9113 section 5.1 | `stream.rs`, `streams.rs` |
//! | flow control | 9113 sections 5.2, 6.9 | `flow_control.rs`, `connection/data.rs` |
//! | settings | 9113 section 6.5 | `settings.rs`, `config.rs` |
//! | header blocks | 9113 sections 4.3, 6.10; 7541 | `connection/headers.rs`, `hpack/` |
//! | requests, fields | 9113 sections 8.1 to 8.3, 8.5; 8441 | `request_head.rs`, `fields.rs` |
//! | priorities | 9218 | `priority.rs`, `schedule.rs` |
//! | sending | 9113 section 6.1 | `connection/transmit.rs`, `output.rs` |
//!
//! Server push is not there: clients have given it up.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod config;
mod connection;
mod error;
mod event;
mod field_cache;
mod fields;
mod flow_control;
mod frame;
pub mod hpack;
mod input;
mod output;
mod priority;
mod request_head;
mod schedule;
mod settings;
mod stats;
mod stream;
mod streams;
mod transmit_buffer;

#[cfg(test)]
mod schedule_tests;

pub use self::{
    config::Config,
    connection::Connection,
    error::{CommandError, ConnectionError, ErrorCode},
    event::Event,
    priority::Priority,
    request_head::Protocol,
    settings::PeerSettings,
    stats::Stats,
    stream::StreamId,
    transmit_buffer::TransmitBuffer,
};
