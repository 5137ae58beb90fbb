//! The keys, and the trait that chooses them.

use openssl::ssl::SslRef;

/// The name of a key, bytes.
pub const NAME_LEN: usize = 16;

/// The keys of one ticket.
#[derive(Clone)]
pub struct TicketKey {
    /// Public: the first bytes of the ticket.
    pub name: [u8; NAME_LEN],
    /// The key of AES-256.
    pub aes: [u8; 32],
    /// The key of HMAC-SHA-256.
    pub hmac: [u8; 32],
}

/// How to open a ticket.
pub struct Opening {
    /// The keys that sealed it.
    pub key: TicketKey,
    /// Whether a client of TLS 1.2 gets a new ticket. Under TLS 1.3 it always gets one.
    pub renew: bool,
}

/// Chooses the keys of tickets. OpenSSL calls it during handshakes, on any thread.
///
/// If a method panics, the handshake fails with an alert; if `opened` does, the session does not
/// resume.
pub trait TicketKeys: Send + Sync + 'static {
    /// The keys that seal a new ticket of this connection. `None`: it gets no ticket.
    fn seal(&self, ssl: &mut SslRef) -> Option<TicketKey>;

    /// The keys that sealed the ticket with this name. `None`: the session does not resume, and the
    /// full handshake continues.
    ///
    /// Nothing has authenticated the name yet. If the ticket was not sealed by the keys, OpenSSL does
    /// not resume its session.
    fn open(&self, ssl: &mut SslRef, name: &[u8; NAME_LEN]) -> Option<Opening>;

    /// Data that the tickets of this session contain, sealed. It is asked after a full handshake only:
    /// the tickets of a session that resumes keep its data. Default: none.
    fn data(&self, ssl: &mut SslRef) -> Vec<u8> {
        let _ = ssl;
        Vec::new()
    }

    /// Takes the data of a ticket that was opened and authenticated, if there is some. The session may
    /// still not resume.
    fn opened(&self, ssl: &mut SslRef, data: &[u8]) {
        let _ = (ssl, data);
    }
}
