//! The error of a connection or a stream.

use std::{error::Error as StdError, fmt};

use crate::error::{Error, Kind};

/// An error of crate h2. The caller converts it, because many of them only mean that the peer is
/// gone.
#[derive(Debug)]
pub(crate) struct ProtocolError(pub(super) h2::Error);

impl ProtocolError {
    /// The connection ends because the peer exceeded one of h2's own limits.
    pub(crate) fn is_flood(&self) -> bool {
        self.0.is_library() && self.0.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    }

    /// Converts it to the error that the crate's user sees: an error of the socket stays one, any
    /// other becomes the source.
    pub(crate) fn into_error(self) -> Error {
        if !self.0.is_io() {
            return Error::new(Kind::Http2, "HTTP/2 error").with(self.0);
        }
        match self.0.into_io() {
            Some(error) => error.into(),
            None => Error::new(Kind::Io, "the connection failed"),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for ProtocolError {}
