//! The error of a connection or a stream.

use std::{borrow::Cow, error::Error as StdError, fmt, io};

use corelane_http2::{CommandError, ConnectionError, ErrorCode};

use crate::error::{Error, Kind};

/// Why a connection, a stream or a command failed.
#[derive(Clone, Debug)]
pub(crate) enum EngineError {
    /// The client broke the protocol.
    Connection(ConnectionError),
    /// The client exceeded a limit.
    Flood(&'static str),
    /// The client has announced the end of the connection with this code.
    GoAway(ErrorCode),
    /// The stream was reset.
    Reset { code: ErrorCode, by_peer: bool },
    /// The response cannot be sent.
    Command(CommandError),
    /// The client ended the connection inside a frame.
    InsideFrame,
    /// The transport failed, or ended.
    Io(io::ErrorKind, Cow<'static, str>),
}

impl EngineError {
    pub(super) fn io(error: &io::Error) -> Self {
        Self::Io(error.kind(), error.to_string().into())
    }

    /// For the streams of a connection that ended before them.
    pub(super) fn ended() -> Self {
        Self::Io(io::ErrorKind::BrokenPipe, "the connection has ended".into())
    }

    pub(super) fn without_preface() -> Self {
        Self::Io(
            io::ErrorKind::UnexpectedEof,
            "the connection ended before the preface of HTTP/2".into(),
        )
    }

    /// The client is gone.
    pub(super) fn is_io(&self) -> bool {
        matches!(self, Self::InsideFrame | Self::Io(..))
    }

    pub(crate) fn is_flood(&self) -> bool {
        match self {
            Self::Flood(_) => true,
            Self::Connection(error) => error.code() == ErrorCode::ENHANCE_YOUR_CALM,
            _ => false,
        }
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::InsideFrame => Error::new(
                Kind::Io,
                "the client closed the connection inside a frame of HTTP/2",
            ),
            Self::Io(kind, text) => io::Error::new(kind, text).into(),
            other => Error::new(Kind::Http2, "HTTP/2 error").with_source(other),
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Flood(why) => write!(f, "{}: {why}", ErrorCode::ENHANCE_YOUR_CALM),
            Self::GoAway(code) => write!(f, "the client sent GOAWAY: {code}"),
            Self::Reset {
                code,
                by_peer: true,
            } => write!(f, "the client has reset the stream: {code}"),
            Self::Reset { code, .. } => write!(f, "the client broke the protocol: {code}"),
            Self::Command(error) => error.fmt(f),
            Self::InsideFrame => f.write_str("the connection ended inside a frame"),
            Self::Io(_, text) => f.write_str(text),
        }
    }
}

impl StdError for EngineError {}
