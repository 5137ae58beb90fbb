use std::fmt;

/// What a backend may lack, if it says so: [`Kit::lacks`](crate::Kit::lacks).
///
/// A row that needs it then checks that it is really missing. For an option of
/// [`TlsConfig`](corelane::tls::TlsConfig) that means: building the acceptor fails with an error for which
/// [`is_unsupported`](corelane::Error::is_unsupported) is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// TLS 1.2. Without it, a client of TLS 1.2 gets the alert `protocol_version` (70).
    Tls12,
    /// TLS 1.3. Without it, `min_version` TLS 1.3 is unsupported, and a client of TLS 1.3 gets the alert
    /// `protocol_version` (70).
    Tls13,
    /// Session resumption. Without it, no session resumes.
    Resumption,
    /// Turning resumption off. Without it, `session_resumption(false)` is unsupported.
    ResumptionOff,
    /// Ticket keys of the user. Without it, `ticket_keys` is unsupported.
    TicketKeys,
    /// Client certificates. Without it, `client_auth` is unsupported.
    ClientAuth,
    /// Cipher suites of the user. Without it, `cipher_suites` is unsupported.
    CipherSuites,
    /// Key exchange groups of the user. Without it, `groups` is unsupported.
    Groups,
    /// Exported keying material (RFC 5705). Without it, `exporters` is unsupported.
    Exporters,
    /// The key exchange group in `Negotiated`. Without it, the group is `None`.
    KeyExchangeGroup,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
            Self::Resumption => "resumption",
            Self::ResumptionOff => "way to turn resumption off",
            Self::TicketKeys => "ticket keys",
            Self::ClientAuth => "client certificates",
            Self::CipherSuites => "choice of cipher suites",
            Self::Groups => "choice of groups",
            Self::Exporters => "exported keying material",
            Self::KeyExchangeGroup => "key exchange group",
        })
    }
}
