//! What a TLS library that owns its stream does for one connection.

use std::io;

use bytes::BufMut;

use crate::negotiated::Negotiated;

/// One connection of a TLS library that owns its stream, a [`Pipe`](super::Pipe). For implementors of
/// [`TlsAcceptor`](super::TlsAcceptor): [`PipedSession`](super::PipedSession) makes a
/// [`TlsSession`](super::TlsSession) of it.
///
/// `WouldBlock` means that the library needs input that is not in the pipe. Any other error is final:
/// the session drops the stream, and calls nothing on it anymore. The session reports it as the peer's
/// fault, of the kind [`io::ErrorKind::InvalidData`] with the library's own error inside.
pub trait PipedStream {
    /// Continues the handshake. Nothing below is called before it returns `Ok`, and it is not called
    /// afterwards.
    ///
    /// # Errors
    ///
    /// As above, and [`io::ErrorKind::PermissionDenied`] if the client's certificate is missing or
    /// refused.
    fn handshake(&mut self) -> io::Result<()>;

    /// The result of the handshake.
    fn negotiated(&self) -> Negotiated;

    /// Appends plaintext to `buf`, which has room for some, and returns its length; `Ok(0)` is the peer's
    /// close_notify. [`read_through`](super::read_through) gives a slice to a library that needs one to
    /// read into.
    ///
    /// # Errors
    ///
    /// As above.
    fn read(&mut self, buf: &mut dyn BufMut) -> io::Result<usize>;

    /// Whether `read` may return something without more input. If not, the session may wait for input
    /// before it calls `read`. Default: true.
    fn has_pending(&self) -> bool {
        true
    }

    /// Seals plaintext, from 1 to [`MAX_PLAINTEXT`](super::MAX_PLAINTEXT) bytes, in at most one record, and returns the
    /// number of bytes taken.
    ///
    /// # Errors
    ///
    /// As above. After `WouldBlock` the same bytes are given again.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize>;

    /// Writes the alert close_notify into the pipe. Called once at most.
    fn send_close_notify(&mut self);
}
