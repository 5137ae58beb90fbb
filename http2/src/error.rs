//! Error codes (RFC 9113 section 7) and the errors of a connection.

use std::{error::Error, fmt};

/// Why a stream or a connection ends (RFC 9113 section 7). A peer may send codes that no RFC
/// defines.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The name of RFC 9113, if it defines the code.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Not an error: a graceful shutdown, or a request's body that is not needed.
    NO_ERROR = 0x0,
    /// The peer broke the protocol in a way that has no code of its own.
    PROTOCOL_ERROR = 0x1,
    /// The sender failed.
    INTERNAL_ERROR = 0x2,
    /// The peer sent more than its window allows.
    FLOW_CONTROL_ERROR = 0x3,
    /// SETTINGS were not acknowledged in time.
    SETTINGS_TIMEOUT = 0x4,
    /// A frame arrived on a stream that its sender had ended.
    STREAM_CLOSED = 0x5,
    /// A frame has a length that its type forbids.
    FRAME_SIZE_ERROR = 0x6,
    /// The request was not processed at all, so the client may send it again.
    REFUSED_STREAM = 0x7,
    /// The stream is no longer needed.
    CANCEL = 0x8,
    /// A header block could not be decoded.
    COMPRESSION_ERROR = 0x9,
    /// The connection behind CONNECT was reset.
    CONNECT_ERROR = 0xa,
    /// The peer causes too much work.
    ENHANCE_YOUR_CALM = 0xb,
    /// The transport is not secure enough.
    INADEQUATE_SECURITY = 0xc,
    /// The server wants HTTP/1.1.
    HTTP_1_1_REQUIRED = 0xd,
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The peer broke the protocol, and the connection ends (RFC 9113 section 5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    code: ErrorCode,
    reason: &'static str,
}

impl ConnectionError {
    pub(crate) const fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self { code, reason }
    }

    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self::new(ErrorCode::PROTOCOL_ERROR, reason)
    }

    pub(crate) const fn frame_size(reason: &'static str) -> Self {
        Self::new(ErrorCode::FRAME_SIZE_ERROR, reason)
    }

    /// The code that GOAWAY tells the peer.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the peer did, for a log.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

impl Error for ConnectionError {}

/// Why a command has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The stream is closed: the peer has reset it, the caller has ended it, or the connection has
    /// ended.
    Closed,
    /// HTTP/2 forbids one of the fields (RFC 9113 section 8.2.2), or the status. The stream stays
    /// open.
    ForbiddenField,
    /// Commands of a stream come in this order: any number of
    /// [`informational`](crate::Connection::informational), one
    /// [`respond`](crate::Connection::respond), any number of
    /// [`send_data`](crate::Connection::send_data), each when the one before is sent, and one
    /// [`send_trailers`](crate::Connection::send_trailers) at most. The stream stays open.
    OutOfOrder,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the stream is closed",
            Self::ForbiddenField => "HTTP/2 forbids this field or status",
            Self::OutOfOrder => "the stream is in another state than this command needs",
        })
    }
}

impl Error for CommandError {}
