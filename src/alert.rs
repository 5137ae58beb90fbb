//! The alerts that corelane itself sends.

/// Why a handshake is refused, as the client is told (RFC 8446 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlertDescription {
    /// 10: a message that has no place here.
    UnexpectedMessage,
    /// 22: a record longer than the protocol allows.
    RecordOverflow,
    /// 40: no acceptable set of security parameters, or any other reason.
    HandshakeFailure,
    /// 50: a message that cannot be read.
    DecodeError,
    /// 80: nothing that the client did wrong.
    InternalError,
    /// 112: no such server name here (RFC 6066 section 3).
    UnrecognizedName,
    /// 120: no protocol in common (RFC 7301 section 3.2).
    NoApplicationProtocol,
}

impl AlertDescription {
    /// The alert as a fatal, unprotected record, as it is sent in answer to a ClientHello under
    /// every version of TLS.
    pub(crate) fn record(self) -> [u8; 7] {
        let description = match self {
            Self::UnexpectedMessage => 10,
            Self::RecordOverflow => 22,
            Self::HandshakeFailure => 40,
            Self::DecodeError => 50,
            Self::InternalError => 80,
            Self::UnrecognizedName => 112,
            Self::NoApplicationProtocol => 120,
        };
        [21, 3, 3, 0, 2, 2, description]
    }
}
