//! The result of a TLS handshake, in the same terms for every backend.

pub(crate) mod cipher_suite;
mod exported;
mod named_group;
mod tls_version;

use http::Extensions;

pub use self::{
    cipher_suite::CipherSuite, exported::Exported, named_group::NamedGroup, tls_version::TlsVersion,
};
use crate::alpn::ProtocolName;

/// The result of a TLS handshake. A field is `None` if the peer did not send it, if there is no TLS,
/// or if the backend does not report it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Negotiated {
    /// The application protocol chosen by ALPN (RFC 7301).
    pub alpn_protocol: Option<ProtocolName>,
    /// The version of TLS.
    pub tls_version: Option<TlsVersion>,
    /// The cipher suite.
    pub cipher_suite: Option<CipherSuite>,
    /// The group of the key exchange. `None` also if a TLS 1.2 session resumed, which has none.
    /// `features.md` lists the backends that do not report it.
    pub key_exchange_group: Option<NamedGroup>,
    /// The server name that the client sent by SNI (RFC 6066 section 3).
    pub server_name: Option<String>,
    /// Whether the handshake resumed an earlier session (RFC 8446 section 2.2, RFC 5246 section 7.3).
    pub resumed: Option<bool>,
    /// The client's certificate chain, DER, its own certificate first. Empty if it sent none or the
    /// server did not ask ([`TlsConfig::client_auth`](crate::tls::TlsConfig#structfield.client_auth)).
    /// A resumed session has the chain of its full handshake.
    pub peer_certificates: Vec<Vec<u8>>,
    /// The subject of the client's own certificate, by RFC 4514, for example `CN=client 1,O=Example`. At
    /// most 256 characters, then `...`; without control characters. `None` if it sent none.
    pub peer_subject: Option<String>,
    /// The keying material of [`TlsConfig::exporters`](crate::tls::TlsConfig#structfield.exporters).
    /// [`exported`](Self::exported) looks it up.
    pub exported: Exported,
    /// Values that the backend has for handlers beyond these fields, by type. The backends of this crate
    /// have none.
    pub extensions: Extensions,
}

impl Negotiated {
    /// The client's own certificate, DER.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.peer_certificates.first().map(Vec::as_slice)
    }

    /// The keying material of the exporter with this label (RFC 5705, RFC 8446 section 7.5). `None` if
    /// [`TlsConfig::exporters`](crate::tls::TlsConfig#structfield.exporters) has none, or if the session
    /// is of TLS 1.2 without the extended master secret (RFC 7627 section 5.4).
    pub fn exported(&self, label: &str) -> Option<&[u8]> {
        self.exported.get(label)
    }
}
