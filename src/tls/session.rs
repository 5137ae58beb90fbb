//! The interface between corelane and a TLS library: two traits and their contract.

use std::{
    fmt,
    future::Future,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
};

use bytes::BufMut;

use crate::{
    alpn::ProtocolName,
    error::Error,
    negotiated::{CipherSuite, Negotiated},
    scratch::Scratch,
    tls::client_hello::ClientHello,
};

/// The non-blocking byte stream that the caller lends to a session for one call.
///
/// Reading and writing return [`io::ErrorKind::WouldBlock`] if the socket is not ready; the task is
/// woken when it is. Reading `0` bytes is the end of the stream.
pub trait Wire: Read + Write {}

impl<T: Read + Write + ?Sized> Wire for T {}

/// A configured TLS backend, which starts a session for every connection.
///
/// One acceptor serves all workers, so that a session resumes on any of them.
pub trait TlsAcceptor: Send + Sync + 'static {
    /// The name of the backend, for logs and metrics: `"rustls"`, `"openssl"`, `"native-tls"`, `"none"`.
    fn backend(&self) -> &'static str;

    /// Whether a connection begins with a TLS ClientHello. If so, the server reads it first, chooses
    /// the protocol by ALPN, refuses the connection by an alert if there is no common one, and replays
    /// the bytes to the session. If not, HTTP/2 begins with prior knowledge.
    fn expects_client_hello(&self) -> bool {
        true
    }

    /// The ALPN protocols that the backend itself chooses from, best first; `None` if it cannot tell. A
    /// server does not start with an acceptor whose list does not begin with `h2`.
    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        None
    }

    /// The cipher suites that sessions can negotiate; `None` if the backend cannot tell. With several identities,
    /// [`ServerNameAcceptor`](super::ServerNameAcceptor) chooses one for which the client has such a suite.
    fn cipher_suites(&self) -> Option<Vec<CipherSuite>> {
        None
    }

    /// Checks that a server can use this acceptor. It is called before a server starts, and before a
    /// reload. The default accepts.
    ///
    /// # Errors
    ///
    /// [`Error::is_unsupported`] if the acceptor was configured for something that a server does not
    /// support.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Starts a session, at once or [later](Start::Later): a certificate may have to be fetched first.
    ///
    /// # Errors
    ///
    /// Any error ends the connection. The client gets the alert of [`Error::refused`], or
    /// `internal_error` (80) for another error.
    fn start(&self, client: &Client<'_>) -> Result<Start, Error>;
}

/// What is known of a client before its session starts.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Client<'a> {
    /// The ClientHello. `None` if the acceptor expects none.
    pub client_hello: Option<&'a ClientHello>,
    /// The client's address, as in [`ConnectionInfo`](crate::ConnectionInfo::peer_addr). `None` for a
    /// stream of [`TlsStream::accept`](crate::TlsStream::accept), which may have no address.
    pub peer_addr: Option<SocketAddr>,
}

impl<'a> Client<'a> {
    /// A client that has sent this ClientHello.
    pub fn new(client_hello: impl Into<Option<&'a ClientHello>>) -> Self {
        Self {
            client_hello: client_hello.into(),
            peer_addr: None,
        }
    }

    /// Sets [`peer_addr`](Self#structfield.peer_addr).
    #[must_use]
    pub fn peer_addr(mut self, peer_addr: impl Into<Option<SocketAddr>>) -> Self {
        self.peer_addr = peer_addr.into();
        self
    }
}

/// The session of a new connection.
///
/// ```
/// use corelane::{
///     Error,
///     tls::{Client, Start, TlsAcceptor},
/// };
///
/// /// Fetches the certificate of a name when the first client asks for it.
/// struct OnDemand;
///
/// # async fn fetch_acceptor(_name: Option<&str>) -> Result<corelane::tls::Cleartext, Error> {
/// #     Ok(corelane::tls::Cleartext)
/// # }
/// impl TlsAcceptor for OnDemand {
///     fn backend(&self) -> &'static str {
///         "on-demand"
///     }
///
///     fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
///         let hello = client.client_hello.cloned();
///         let peer_addr = client.peer_addr;
///         Ok(Start::later(async move {
///             let name = hello.as_ref().and_then(|hello| hello.server_name.as_deref());
///             let acceptor = fetch_acceptor(name).await?;
///             acceptor.start(&Client::new(hello.as_ref()).peer_addr(peer_addr))
///         }))
///     }
/// }
/// ```
pub enum Start {
    /// The session.
    Now(Box<dyn TlsSession>),
    /// A future of it, which runs on the connection's worker. Other connections go on meanwhile, and
    /// [`Limits::handshake`](crate::Limits#structfield.handshake) ends it.
    Later(Pin<Box<dyn Future<Output = Result<Start, Error>>>>),
}

impl Start {
    /// A session that is there when this future ends.
    pub fn later(future: impl Future<Output = Result<Self, Error>> + 'static) -> Self {
        Self::Later(Box::pin(future))
    }

    /// Waits for the session.
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub async fn session(self) -> Result<Box<dyn TlsSession>, Error> {
        let mut start = self;
        loop {
            match start {
                Self::Now(session) => return Ok(session),
                Self::Later(future) => start = future.await?,
            }
        }
    }
}

impl<S: TlsSession + 'static> From<S> for Start {
    fn from(session: S) -> Self {
        Self::Now(Box::new(session))
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later(_) => "Later",
        })
    }
}

/// One TLS connection: a state machine without I/O of its own.
///
/// A session owns no socket, never waits and never spawns. Each call ends before the next one begins,
/// so reading and writing cannot interfere inside it. The order of calls:
///
/// 1. [`handshake`](Self::handshake), again whenever the wire is ready, until it returns `Ok`;
/// 2. [`negotiated`](Self::negotiated), then [`read`](Self::read), [`write`](Self::write) and
///    [`flush`](Self::flush) in any order;
/// 3. [`send_close_notify`](Self::send_close_notify), then `flush` until it returns `Ok`.
///
/// The contract:
///
/// * `WouldBlock` from the wire means "call again when the wire is ready". A session returns it and
///   never turns it into another error, even if a write has to read first or a read has to write. It
///   returns it for no other reason, because only the wire wakes the task.
/// * Sealed bytes that the wire did not take stay in the session: at most [`MAX_SEALED`] bytes, and
///   those that one more call of `write` takes. `flush` sends them.
/// * The peer cannot make a session hold more than a fixed number of bytes to send. Past it `read`
///   takes no more input and returns `WouldBlock` until `flush` or `read` itself has sent some.
/// * After an error of `handshake` or `read` the caller calls `flush` once more, to send the alert.
/// * The end of the wire without close_notify is [`io::ErrorKind::UnexpectedEof`] (RFC 8446 section
///   6.1), a close_notify is `Ok(0)`. A protocol error of the peer is [`io::ErrorKind::InvalidData`]
///   with the library's own error inside, a client certificate that is missing or refused
///   [`io::ErrorKind::PermissionDenied`].
/// * A peer that sends no end of records without plaintext (empty ones, warnings, KeyUpdates, requests
///   to renegotiate) is a protocol error before 1 MiB of them is read.
/// * A session that failed keeps failing. No call panics, in any order of calls. A session may be
///   dropped at any time.
///
/// The crate `corelane-backend-tests` tests each of these clauses on any backend.
pub trait TlsSession {
    /// Continues the handshake and returns `Ok` once it is complete. The first `flush` sends the
    /// rest of the server's messages.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the wire is not ready, otherwise as the contract above says.
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()>;

    /// The result of the handshake. The server calls it once, after the handshake.
    fn negotiated(&self) -> Negotiated;

    /// Appends plaintext to `buf`, which has room for some, and returns its length; `Ok(0)` is a clean
    /// close by the peer. [`read_through`] gives a slice to a library that needs one to read into.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the wire is not ready, otherwise as the contract above says.
    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize>;

    /// Seals plaintext and returns the number of bytes taken, which may be fewer than given. It should
    /// make full records of [`MAX_PLAINTEXT`] bytes if there is enough to fill them.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, with nothing taken, while [`MAX_SEALED`] bytes wait for the wire; otherwise as the
    /// contract above says.
    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends the sealed bytes and returns `Ok` once none is left.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the wire is not ready, otherwise as the contract above says.
    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()>;

    /// Whether bytes wait for `flush`, including answers of the TLS protocol itself.
    fn wants_flush(&self) -> bool;

    /// Queues the alert close_notify (RFC 8446 section 6.1), which `flush` sends. `write` fails
    /// afterwards, `read` does not.
    fn send_close_notify(&mut self);
}

/// Plaintext that fits into one record, bytes (RFC 8446 section 5.1).
pub const MAX_PLAINTEXT: usize = 16 * 1024;

/// Sealed bytes that a session may hold before it takes no more plaintext: four full records. Enough
/// for one system call to send many of them, little enough to stay in the cache of a core.
pub const MAX_SEALED: usize = 4 * (MAX_PLAINTEXT + 256);

/// Reads into a buffer that all connections of a thread share, at most one record, and copies it to
/// `buf`.
///
/// The memory of `buf` may not be initialised, so safe code cannot take a slice of it. Clearing it for
/// every read would cost more than this copy.
///
/// # Errors
///
/// Those of `read`.
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

    fn cipher_suites(&self) -> Option<Vec<CipherSuite>> {
        (**self).cipher_suites()
    }

    fn check(&self) -> Result<(), Error> {
        (**self).check()
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        (**self).start(client)
    }
}
