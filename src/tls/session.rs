//! The seam between corelane and a TLS library: two traits and the contract between them.

use std::{
    io::{self, IoSlice, Read, Write},
    sync::Arc,
};

use bytes::BufMut;

use crate::{
    alpn::ProtocolName, error::Error, negotiated::Negotiated, scratch::Scratch,
    tls::client_hello::ClientHello,
};

/// The non-blocking byte stream that is lent to a session for the length of one call.
///
/// Reading and writing answer [`io::ErrorKind::WouldBlock`] when the socket is not ready; the task
/// is then woken when it is. Reading `0` bytes is the end of the stream.
pub trait Wire: Read + Write {}

impl<T: Read + Write + ?Sized> Wire for T {}

/// A configured TLS backend: starts a session for every connection.
///
/// One acceptor serves all workers, so that sessions resume on whichever worker the client comes
/// back to.
pub trait TlsAcceptor: Send + Sync + 'static {
    /// The backend's name, for logs and for people: `"rustls"`, `"native-tls"`, `"none"`.
    fn backend(&self) -> &'static str;

    /// Whether a connection begins with a TLS ClientHello. If so, corelane reads it first, decides
    /// ALPN on it, refuses the connection by alert where there is no common protocol, and replays
    /// the bytes to the session. If not, there is no ALPN and HTTP/2 begins with prior knowledge.
    fn expects_client_hello(&self) -> bool {
        true
    }

    /// The protocols that the backend itself chooses among, where it can tell. A server refuses to
    /// start on an acceptor whose list would not choose `h2`.
    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        None
    }

    /// Starts a session. `client_hello` is `None` where none is expected. An error ends the
    /// connection; the client is told why if it is [`Error::refused`], and gets `internal_error`
    /// (80) if it is another.
    fn start(&self, client_hello: Option<&ClientHello>) -> Result<Box<dyn TlsSession>, Error>;
}

/// One TLS connection: a state machine that has no I/O of its own.
///
/// A session never owns a socket, never waits, never spawns. Every call is over before the next
/// one begins, so reading and writing cannot meet inside it. The order of calls:
///
/// 1. [`handshake`](Self::handshake), again whenever the wire is ready, until it answers `Ok`;
/// 2. [`negotiated`](Self::negotiated), then [`read`](Self::read), [`write`](Self::write) and
///    [`flush`](Self::flush) in any order;
/// 3. [`send_close_notify`](Self::send_close_notify), then `flush` until it answers `Ok`.
///
/// What both sides may rely on:
///
/// * `WouldBlock` from the wire means "call again when the wire is ready". A session passes it on
///   and never turns it into an error, also where a write has to read first or a read to write.
/// * Sealed bytes that the wire did not take stay in the session, at most
///   [`MAX_SEALED`] bytes and what one more call to `write` takes. `flush` hands them over.
/// * What the peer sends cannot make a session hold more than a fixed amount to be sent. Past it
///   `read` takes no more input and answers `WouldBlock` until `flush` or `read` itself got rid of
///   some of it.
/// * After an error of `handshake` or `read` the caller calls `flush` once more: the alert that
///   tells the peer is among the bytes to send.
/// * The end of the wire without close_notify is [`io::ErrorKind::UnexpectedEof`] (RFC 8446
///   section 6.1), a close_notify is `Ok(0)`. Anything that the peer did wrong is
///   [`io::ErrorKind::InvalidData`] with the library's own error inside.
/// * A session that failed keeps failing; no call panics, whatever came before it.
pub trait TlsSession {
    /// Goes on with the handshake; `Ok` once it is complete. What is still to be sent then goes
    /// with the first `flush`.
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()>;

    /// What was negotiated. Called once, after the handshake.
    fn negotiated(&self) -> Negotiated;

    /// Appends plaintext to `buf`, which has room for some, and answers how much; `Ok(0)` is a
    /// clean close by the peer. A library that wants a slice to read into gets one from
    /// [`read_through`].
    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize>;

    /// Seals plaintext and answers how many bytes were taken, which may be fewer than given. Takes
    /// none and answers `WouldBlock` while [`MAX_SEALED`] bytes wait for the wire. Whole records
    /// of [`MAX_PLAINTEXT`] bytes should be made where there is enough to fill them.
    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Hands what is sealed to the wire; `Ok` once nothing is left.
    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()>;

    /// Whether something waits for `flush`, be it an answer that the protocol asked for.
    fn wants_flush(&self) -> bool;

    /// Queues the alert close_notify (RFC 8446 section 6.1); `flush` sends it. `write` fails
    /// afterwards, `read` does not.
    fn send_close_notify(&mut self);
}

/// The most plaintext that fits one record (RFC 8446 section 5.1).
pub const MAX_PLAINTEXT: usize = 16 * 1024;

/// How many sealed bytes a session may hold before it takes no more plaintext: four full records.
/// Enough for one system call to send many, little enough to stay in a core's own cache.
pub const MAX_SEALED: usize = 4 * (MAX_PLAINTEXT + 256);

/// Reads by way of a buffer that all connections of a thread share: at most one record at a time.
///
/// `buf` may not be initialised, which is why a slice of it cannot be had; to clear it for every
/// read would cost more than to copy what was read.
pub fn read_through(
    buf: &mut dyn BufMut,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut scratch = Scratch::take();
    let room = buf.remaining_mut().min(scratch.len());
    let n = read(&mut scratch[..room])?;
    buf.put_slice(&scratch[..n]);
    Ok(n)
}

impl<A: TlsAcceptor + ?Sized> TlsAcceptor for Arc<A> {
    fn backend(&self) -> &'static str {
        (**self).backend()
    }

    fn expects_client_hello(&self) -> bool {
        (**self).expects_client_hello()
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        (**self).alpn_protocols()
    }

    fn start(&self, client_hello: Option<&ClientHello>) -> Result<Box<dyn TlsSession>, Error> {
        (**self).start(client_hello)
    }
}
