use std::io::{self, ErrorKind, IoSlice};

use bytes::BufMut;
use corelane::tls::{TlsAcceptor, TlsSession};
use rustls::HandshakeKind;

use super::{
    peer::{Client, Peer},
    start::start,
    wire::Wire,
};

/// A session under test, its peer, and the wire between them.
pub struct Pair {
    /// The session. Every call is checked for what holds in any state: see the crate's first page.
    pub session: Box<dyn TlsSession>,
    /// The peer.
    pub client: Client,
    /// The wire between them.
    pub wire: Wire,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("client", &self.client)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// A session that has not begun its handshake. The client's first flight is on the wire.
    ///
    /// # Panics
    ///
    /// If the acceptor starts no session.
    pub fn begin(acceptor: &dyn TlsAcceptor, mut client: Client) -> Self {
        let mut wire = Wire::default();
        client.turn(&mut wire);
        let session = start(acceptor, wire.incoming.make_contiguous());
        Self {
            session: session.expect("the acceptor starts a session"),
            client,
            wire,
        }
    }

    /// A session after its handshake with a client that offers `h2`.
    ///
    /// # Panics
    ///
    /// If the handshake fails.
    pub fn open(acceptor: &dyn TlsAcceptor, peer: Peer) -> Self {
        let mut pair = Self::begin(acceptor, Client::new(peer));
        pair.shake_hands();
        pair
    }

    /// Completes the handshake.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn shake_hands(&mut self) {
        self.until_done(|session, wire| session.handshake(wire));
        self.flush();
    }

    /// Begins the handshake. Then the client's Finished is on the wire, and the session has not read it.
    ///
    /// # Panics
    ///
    /// If the session does not wait for it.
    pub fn until_client_finished(&mut self) {
        let retry = Some(HandshakeKind::FullWithHelloRetryRequest);
        for _ in 0..2 {
            assert_eq!(kind(self.handshake()), ErrorKind::WouldBlock);
            self.flush();
            // A server may ask for the share of another group (RFC 8446 section 4.1.4).
            if self.client.connection().handshake_kind() != retry {
                return;
            }
        }
    }

    /// Repeats a call while it would block and the two sides make progress.
    ///
    /// # Panics
    ///
    /// If the call fails, or blocks forever.
    pub fn until_done<T>(
        &mut self,
        mut call: impl FnMut(&mut dyn TlsSession, &mut Wire) -> io::Result<T>,
    ) -> T {
        for _ in 0..100_000 {
            match call(&mut *self.session, &mut self.wire) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.client.turn(&mut self.wire);
                }
                Err(error) => panic!("the call fails: {error:?}, client: {:?}", self.client.error),
                Ok(value) => return value,
            }
        }
        panic!("the call blocks forever");
    }

    /// Flushes the session, and lets the client read.
    ///
    /// # Panics
    ///
    /// As for [`until_done`](Self::until_done).
    pub fn flush(&mut self) {
        self.until_done(|session, wire| session.flush(wire));
        self.client.turn(&mut self.wire);
    }

    /// One call of `handshake`.
    ///
    /// # Errors
    ///
    /// Those of the session.
    pub fn handshake(&mut self) -> io::Result<()> {
        self.session.handshake(&mut self.wire)
    }

    /// One call of `read`, with room for 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of the session.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut buf = Vec::new();
        self.session
            .read(&mut self.wire, &mut (&mut buf).limit(64 * 1024))?;
        Ok(buf)
    }

    /// One call of `write`.
    ///
    /// # Errors
    ///
    /// Those of the session.
    pub fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.session
            .write(&mut self.wire, &[IoSlice::new(plaintext)])
    }

    /// Reads until `wanted` bytes have arrived.
    ///
    /// # Panics
    ///
    /// As for [`until_done`](Self::until_done), and if the peer closes before.
    pub fn read_all(&mut self, wanted: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < wanted {
            let n = self.until_done(|session, wire| session.read(wire, &mut received));
            assert!(n > 0, "a close after {} bytes", received.len());
        }
        received
    }

    /// Writes everything and flushes.
    ///
    /// # Panics
    ///
    /// As for [`until_done`](Self::until_done).
    pub fn write_all(&mut self, plaintext: &[u8]) {
        let mut taken = 0;
        while taken < plaintext.len() {
            let rest = [IoSlice::new(&plaintext[taken..])];
            taken += self.until_done(|session, wire| session.write(wire, &rest));
        }
        self.flush();
    }

    /// Blocks the wire and writes until the session takes no more. Returns what it took.
    ///
    /// # Panics
    ///
    /// If the session takes far more than it may hold, or fails.
    pub fn write_until_blocked(&mut self, piece: &[u8]) -> Vec<u8> {
        self.wire.room = 0;
        let mut taken = Vec::new();
        loop {
            match self.write(piece) {
                Ok(0) => panic!("write returns Ok(0) instead of WouldBlock"),
                Ok(n) => taken.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return taken,
                Err(error) => panic!("a write to a blocked wire fails: {error:?}"),
            }
            let most = corelane::tls::MAX_SEALED + piece.len();
            assert!(
                taken.len() <= most,
                "the session holds more than {most} bytes"
            );
        }
    }
}

/// Plaintext in which every part is different.
pub fn pattern(len: usize) -> Vec<u8> {
    let block: [u8; 251] = std::array::from_fn(|i| i as u8);
    let mut bytes = block.repeat(len / block.len());
    bytes.extend_from_slice(&block[..len % block.len()]);
    bytes
}

/// The kind of the error.
///
/// # Panics
///
/// If there is none.
pub fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.expect_err("the call has to fail").kind()
}
