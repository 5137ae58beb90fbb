//! What a connection tells its caller.

use http::{HeaderMap, request::Parts};

use crate::{error::ErrorCode, priority::Priority, settings::PeerSettings, stream::StreamId};

/// What the client has sent. `'i` is the caller's input: the data of bodies lies there.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'i> {
    /// A request.
    Request {
        /// Names it in commands.
        stream: StreamId,
        /// Method, target and fields. The version is HTTP/2.
        head: Parts,
        /// Nothing follows: no body, no trailers.
        end: bool,
    },
    /// A request whose header list exceeds
    /// [`Config::max_header_list_size`](crate::Config::max_header_list_size). Answer it, with 431
    /// for example (RFC 6585 section 5), or reset it.
    HeadTooLarge {
        /// Names it in commands.
        stream: StreamId,
        /// Nothing follows: no body, no trailers.
        end: bool,
    },
    /// A part of a request's body, of a whole DATA frame or of less. Return it to the windows by
    /// [`Connection::release_capacity`](crate::Connection::release_capacity), even if the stream is
    /// closed by then.
    Data {
        /// The stream.
        stream: StreamId,
        /// Empty only if it ends the stream.
        data: &'i [u8],
        /// Nothing follows: the body is complete.
        end: bool,
    },
    /// The trailers of a request, which end it.
    Trailers {
        /// The stream.
        stream: StreamId,
        /// The fields.
        trailers: HeaderMap,
    },
    /// The stream is closed before its time, and commands on it have no effect.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The code of RST_STREAM.
        code: ErrorCode,
        /// Whether the client sent RST_STREAM. Otherwise the connection did, because what the
        /// client sent is malformed.
        by_peer: bool,
    },
    /// The client has changed its settings. They apply already, and their acknowledgement is in the
    /// output.
    Settings(PeerSettings),
    /// The client has acknowledged the server's SETTINGS. A caller that sets a deadline for it ends
    /// the connection with `SETTINGS_TIMEOUT` (RFC 9113 section 6.5.3).
    SettingsAcknowledged,
    /// The answer to [`Connection::ping`](crate::Connection::ping), with its payload.
    Pong([u8; 8]),
    /// The client has changed the priority of a response (RFC 9218 section 7.1). It applies
    /// already.
    PriorityChanged {
        /// The stream.
        stream: StreamId,
        /// The new priority.
        priority: Priority,
    },
    /// The client sends no more requests (RFC 9113 section 6.8).
    GoAway {
        /// Why: usually `NO_ERROR`.
        code: ErrorCode,
    },
}
