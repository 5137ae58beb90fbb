//! How a stream ends before its time.

/// Why the server resets a stream (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetCode {
    InternalError,
    Cancel,
}

/// The peer has reset the stream, or the connection has failed: nothing can be sent on it.
#[derive(Debug)]
pub(crate) struct PeerGone;
