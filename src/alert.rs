//! The TLS alerts that a server sends.

/// Why the server refuses a handshake: the description of the alert that it sends (RFC 8446 section
/// 6.2). Give it to [`Error::refused`](crate::Error::refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum AlertDescription {
    /// A message that is not allowed at this point of the handshake.
    UnexpectedMessage = 10,
    /// A record that is longer than the protocol allows.
    RecordOverflow = 22,
    /// No acceptable set of security parameters, or any other reason.
    HandshakeFailure = 40,
    /// A field of a message whose value is not allowed.
    IllegalParameter = 47,
    /// A message that cannot be parsed.
    DecodeError = 50,
    /// The server has no version of TLS that the client has.
    ProtocolVersion = 70,
    /// A fault of the server.
    InternalError = 80,
    /// The server does not serve this server name (RFC 6066 section 3).
    UnrecognizedName = 112,
    /// The client sent no certificate, which the server requires.
    CertificateRequired = 116,
    /// Client and server have no protocol in common (RFC 7301 section 3.2).
    NoApplicationProtocol = 120,
}

impl AlertDescription {
    /// The number in IANA's registry of TLS alerts, as it is on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The alert as a fatal, unprotected record: the answer to a ClientHello under every version of
    /// TLS.
    pub(crate) fn record(self) -> [u8; 7] {
        [21, 3, 3, 0, 2, 2, self.number()]
    }
}
