//! The TLS layer: the traits of a backend ([`TlsAcceptor`], [`TlsSession`]), the backends of this crate,
//! and the configuration that they share.
//!
//! Backends are chosen here at compile time, and nowhere else. Their ticket crypto and PKCS#12 are
//! chosen in `tickets/mod.rs` and `pkcs12.rs`.

mod certificate;
mod cleartext;
mod client_auth;
pub(crate) mod client_hello;
pub(crate) mod client_hello_reader;
mod dns_name;
mod identity;
mod key_kind;
mod pkcs12;
mod server_name_acceptor;
pub(crate) mod session;
mod tickets;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "rustls", feature = "native-tls"))] {
        mod incoming;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "rustls")] {
        mod client_verifier;
        mod rustls;
        pub use self::rustls::RustlsAcceptor;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "native-tls")] {
        mod native_tls;
        mod pipe;
        mod server_hello;
        pub use self::native_tls::NativeTlsAcceptor;
    }
}

pub use self::{
    cleartext::Cleartext,
    client_auth::ClientAuth,
    client_hello::ClientHello,
    identity::Identity,
    server_name_acceptor::{ServerNameAcceptor, UnknownName},
    session::{MAX_PLAINTEXT, MAX_SEALED, TlsAcceptor, TlsSession, Wire, read_through},
    tickets::TicketKeys,
};
pub use crate::{
    alert::AlertDescription,
    negotiated::{CipherSuite, Negotiated, TlsVersion},
};

use crate::alpn::ProtocolName;

/// What a backend is configured with, in words that all of them share.
///
/// ```no_run
/// use corelane::tls::{Identity, TlsConfig, TlsVersion};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let mut config = TlsConfig::new(Identity::from_pem_files("cert.pem", "key.pem")?);
/// config.min_version = TlsVersion::TLS_1_3;
/// # Ok(())
/// # }
/// ```
///
/// Where a backend cannot honour an option, building its acceptor fails with an error that says
/// so ([`Error::is_unsupported`](crate::Error::is_unsupported)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Certificate chain and key.
    pub identity: Identity,
    /// The oldest version to accept, TLS 1.2 (the default) or TLS 1.3. HTTP/2 forbids older ones
    /// (RFC 9113 section 9.2).
    pub min_version: TlsVersion,
    /// The protocols to choose from by ALPN, best first. Default `h2`; a [`Server`](crate::Server)
    /// wants just that.
    pub alpn_protocols: Vec<ProtocolName>,
    /// Whether clients may resume sessions. Default true.
    pub session_resumption: bool,
    /// What session tickets are sealed with (RFC 8446 section 4.6.1, RFC 5077). Default none: keys
    /// of the acceptor's own, so that sessions end with it. With keys they resume wherever the
    /// same ones are: after a restart, after a reload, on another host. Backends that keep their
    /// keys to themselves: see `features.md`.
    pub ticket_keys: Option<TicketKeys>,
    /// Whether clients are asked for certificates (RFC 8446 section 4.3.2). Default none: they are
    /// not. Backends that cannot ask: see `features.md`.
    pub client_auth: Option<ClientAuth>,
}

impl TlsConfig {
    /// The defaults with this identity.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            min_version: TlsVersion::TLS_1_2,
            alpn_protocols: vec![ProtocolName::H2],
            session_resumption: true,
            ticket_keys: None,
            client_auth: None,
        }
    }
}
