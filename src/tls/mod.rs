//! TLS: the configuration that all backends share, the backends of this crate, and the traits for
//! backends of other crates.
//!
//! A backend is a value of [`TlsAcceptor`]. [`TlsConfig`] builds the ones that the enabled features
//! provide, `RustlsAcceptor`, `OpensslAcceptor` and `NativeTlsAcceptor`; [`Cleartext`] is none, and
//! [`ServerNameAcceptor`] combines several by server name. [`TlsSession`] states the contract between
//! corelane and a TLS library.
// Backends are chosen here at compile time; their crypto and formats of keys in `tickets/mod.rs`,
// `hash.rs`, `pkcs8.rs` and `pkcs12.rs`.

mod accepted_keys;
mod certificate;
mod cleartext;
mod client_auth;
pub(crate) mod client_hello;
pub(crate) mod client_hello_reader;
mod dns_name;
mod hash;
mod identity;
#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
    expect(dead_code, reason = "there is no backend to judge identities for")
)]
mod identity_check;
mod identity_ocsp;
mod key_kind;
mod key_log;
mod ocsp;
mod pem;
mod pkcs12;
mod secret;
mod server_name_acceptor;
pub(crate) mod session;
mod tickets;
mod warnings;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))] {
        mod incoming;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "rustls")] {
        mod client_verifier;
        mod rustls;
        mod rustls_identity;
        mod rustls_key_log;
        mod rustls_stapling;
        // cfg_if hides the feature from rustdoc.
        #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
        pub use self::rustls::RustlsAcceptor;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(feature = "native-tls", feature = "openssl"))] {
        mod pipe;
        mod piped_session;
        mod security_level;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "native-tls")] {
        mod native_identity;
        mod native_tls;
        mod pkcs8;
        mod server_hello;
        #[cfg_attr(docsrs, doc(cfg(feature = "native-tls")))]
        pub use self::native_tls::NativeTlsAcceptor;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "openssl")] {
        mod openssl;
        #[cfg_attr(docsrs, doc(cfg(feature = "openssl")))]
        pub use self::openssl::OpensslAcceptor;
    }
}

/// The TLS crates whose types are part of the public interface, re-exported by `lib.rs`.
pub(crate) mod crates {
    cfg_if::cfg_if! {
        if #[cfg(feature = "rustls")] {
            #[doc(no_inline)]
            #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
            pub use ::rustls;
        }
    }
    cfg_if::cfg_if! {
        if #[cfg(feature = "native-tls")] {
            #[doc(no_inline)]
            #[cfg_attr(docsrs, doc(cfg(feature = "native-tls")))]
            pub use ::native_tls;
        }
    }
    cfg_if::cfg_if! {
        if #[cfg(feature = "openssl")] {
            #[doc(no_inline)]
            #[cfg_attr(docsrs, doc(cfg(feature = "openssl")))]
            pub use openssl_ticket_keys::openssl;
        }
    }
}

pub use self::{
    certificate::RevocationList,
    cleartext::Cleartext,
    client_auth::ClientAuth,
    client_hello::ClientHello,
    identity::Identity,
    key_log::KeyLog,
    ocsp::OcspResponse,
    server_name_acceptor::{ServerNameAcceptor, UnknownName},
    session::{
        Client, MAX_PLAINTEXT, MAX_SEALED, Start, TlsAcceptor, TlsSession, Wire, read_through,
    },
    tickets::TicketKeys,
};
#[doc(hidden)]
pub use self::{identity::read_certificates, key_log::check_key_log};
pub use crate::{
    alert::AlertDescription,
    negotiated::{CipherSuite, NamedGroup, Negotiated, TlsVersion},
};

use crate::alpn::ProtocolName;

/// The configuration of a backend, in terms that all of them share.
///
/// ```no_run
/// use corelane::tls::{Identity, TlsConfig, TlsVersion};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
/// let config = TlsConfig::new(identity).min_version(TlsVersion::TLS_1_3);
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
///
/// If a backend does not support an option, building its acceptor fails with an error that says so
/// ([`Error::is_unsupported`](crate::Error::is_unsupported)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The certificate chain and the private key.
    pub identity: Identity,
    /// The oldest version to accept, TLS 1.2 or TLS 1.3. Default TLS 1.2: HTTP/2 forbids older ones
    /// (RFC 9113 section 9.2).
    pub min_version: TlsVersion,
    /// The protocols to choose from by ALPN (RFC 7301), best first. Default `h2`, which a
    /// [`Server`](crate::Server) needs to be the first.
    pub alpn_protocols: Vec<ProtocolName>,
    /// Whether clients may resume sessions (RFC 8446 section 2.2). Default true.
    pub session_resumption: bool,
    /// The keys that seal session tickets (RFC 8446 section 4.6.1, RFC 5077). Default `None`: the
    /// acceptor makes its own, and sessions end with it. With keys, sessions resume wherever the same
    /// keys are: after a restart or a reload, and on other hosts. `features.md` lists the backends
    /// that do not support it.
    pub ticket_keys: Option<TicketKeys>,
    /// Asks clients for certificates (RFC 8446 section 4.3.2). Default `None`: does not ask.
    /// `features.md` lists the backends that do not support it.
    pub client_auth: Option<ClientAuth>,
    /// Whether to append the secrets of all connections to the file that the environment variable
    /// `SSLKEYLOGFILE` names, in the format of NSS, so that recorded traffic can be decrypted, for
    /// example by Wireshark. Default false.
    ///
    /// Nothing is written without both, this option and the variable. Several acceptors and processes
    /// may append to one file. It is created for its owner only (mode 0600). A warning names it.
    /// `features.md` lists the backends that do not support it.
    pub key_log: bool,
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
            key_log: false,
        }
    }

    /// Sets [`min_version`](Self#structfield.min_version).
    #[must_use]
    pub fn min_version(mut self, min_version: TlsVersion) -> Self {
        self.min_version = min_version;
        self
    }

    /// Sets [`alpn_protocols`](Self#structfield.alpn_protocols).
    #[must_use]
    pub fn alpn_protocols(mut self, names: impl IntoIterator<Item = ProtocolName>) -> Self {
        self.alpn_protocols = names.into_iter().collect();
        self
    }

    /// Sets [`session_resumption`](Self#structfield.session_resumption).
    #[must_use]
    pub fn session_resumption(mut self, session_resumption: bool) -> Self {
        self.session_resumption = session_resumption;
        self
    }

    /// Sets [`ticket_keys`](Self#structfield.ticket_keys).
    #[must_use]
    pub fn ticket_keys(mut self, ticket_keys: impl Into<Option<TicketKeys>>) -> Self {
        self.ticket_keys = ticket_keys.into();
        self
    }

    /// Sets [`client_auth`](Self#structfield.client_auth).
    #[must_use]
    pub fn client_auth(mut self, client_auth: impl Into<Option<ClientAuth>>) -> Self {
        self.client_auth = client_auth.into();
        self
    }
    /// Sets [`key_log`](Self#structfield.key_log).
    #[must_use]
    pub fn key_log(mut self, key_log: bool) -> Self {
        self.key_log = key_log;
        self
    }
}
