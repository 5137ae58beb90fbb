//! TLS: the configuration that all backends share, the backends of this crate, and the traits for
//! backends of other crates.
//!
//! A backend is a value of [`TlsAcceptor`]. [`TlsConfig`] builds the ones that the enabled features
//! provide, `RustlsAcceptor`, `OpensslAcceptor` and `NativeTlsAcceptor`; [`Cleartext`] is none, and
//! [`ServerNameAcceptor`] combines several by server name. [`TlsSession`] states the contract between
//! corelane and a TLS library; [`PipedSession`] keeps it for a library that owns its stream.
// Backends are chosen here at compile time; their crypto and formats of keys in `tickets/mod.rs`,
// `hash.rs`, `pkcs8.rs` and `pkcs12.rs`.

mod accepted_keys;
mod certificate;
mod cleartext;
mod client_auth;
pub(crate) mod client_hello;
pub(crate) mod client_hello_reader;
mod dns_name;
mod exporter;
mod hash;
mod identity;
#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
    expect(dead_code, reason = "there is no backend to judge identities for")
)]
mod identity_check;
mod identity_contents;
mod identity_ocsp;
mod incoming;
mod key_kind;
mod key_log;
mod ocsp;
mod pem;
mod pipe;
mod piped_session;
mod piped_stream;
mod pkcs12;
mod secret;
mod server_name_acceptor;
pub(crate) mod session;
mod tickets;
mod tls_option;
mod transport;
mod warnings;

cfg_if::cfg_if! {
    if #[cfg(any(feature = "rustls", feature = "openssl"))] {
        mod algorithms;
        mod changes;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "rustls")] {
        mod client_verifier;
        mod rustls;
        mod rustls_config;
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
        mod security_level;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(
        feature = "openssl",
        all(
            feature = "native-tls",
            not(any(target_os = "windows", target_vendor = "apple"))
        )
    ))] {
        mod self_handshake;
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
        pub use self::openssl::{OpensslAcceptor, OpensslLibrary};
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
    certificate::{RevocationList, subject as certificate_subject},
    cleartext::Cleartext,
    client_auth::ClientAuth,
    client_hello::ClientHello,
    exporter::Exporter,
    identity::Identity,
    identity_contents::IdentityContents,
    key_log::KeyLog,
    ocsp::OcspResponse,
    pipe::Pipe,
    piped_session::PipedSession,
    piped_stream::PipedStream,
    server_name_acceptor::{ServerNameAcceptor, UnknownName},
    session::{
        Client, MAX_PLAINTEXT, MAX_SEALED, Start, TlsAcceptor, TlsSession, Wire, read_through,
    },
    tickets::TicketKeys,
    tls_option::TlsOption,
};
#[doc(hidden)]
pub use self::{identity::read_certificates, key_log::check_key_log};
pub use crate::{
    alert::AlertDescription,
    negotiated::{CipherSuite, Exported, NamedGroup, Negotiated, TlsVersion},
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
    /// The cipher suites that may be negotiated, best first: the server's order decides, not the
    /// client's. Default empty: those of the backend or of the system's policy, in the order that is
    /// usual there. A list replaces that of the policy, under the policy's versions and security level.
    ///
    /// Building an acceptor fails for a suite that this build of the library does not have or that
    /// HTTP/2 forbids (RFC 9113 section 9.2.2), and if a version from
    /// [`min_version`](Self#structfield.min_version) on, or in TLS 1.2 the key of the certificate, is
    /// left without a suite. `features.md` lists the backends that do not support it.
    pub cipher_suites: Vec<CipherSuite>,
    /// The key exchange groups that may be negotiated, best first: each session uses the first one that
    /// the client supports. If the client sent no key share for it, the handshake takes one more round
    /// trip (RFC 8446 section 4.1.4). Default empty: those of the backend or of the system's policy,
    /// chosen as the library does.
    ///
    /// Building an acceptor fails for a group that this build of the library does not have, and if a
    /// version is left without a group: TLS 1.2 has none with ML-KEM. `features.md` lists the backends
    /// that do not support it.
    pub groups: Vec<NamedGroup>,
    /// Keying material to export from each session for handlers, which find it in
    /// [`Negotiated::exported`]. Default none. `features.md` lists the backends that do not support it.
    pub exporters: Vec<Exporter>,
    #[cfg(feature = "rustls")]
    rustls: changes::Changes<dyn Fn(&mut crates::rustls::ServerConfig) + Send + Sync>,
    #[cfg(feature = "openssl")]
    openssl: changes::Changes<ChangeOpenssl>,
}

#[cfg(feature = "openssl")]
type ChangeOpenssl = dyn Fn(
        &mut crates::openssl::ssl::SslContextBuilder,
    ) -> Result<(), crates::openssl::error::ErrorStack>
    + Send
    + Sync;

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
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            exporters: Vec::new(),
            #[cfg(feature = "rustls")]
            rustls: changes::Changes::default(),
            #[cfg(feature = "openssl")]
            openssl: changes::Changes::default(),
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

    /// Sets [`cipher_suites`](Self#structfield.cipher_suites).
    #[must_use]
    pub fn cipher_suites(mut self, suites: impl IntoIterator<Item = CipherSuite>) -> Self {
        self.cipher_suites = suites.into_iter().collect();
        self
    }

    /// Sets [`groups`](Self#structfield.groups).
    #[must_use]
    pub fn groups(mut self, groups: impl IntoIterator<Item = NamedGroup>) -> Self {
        self.groups = groups.into_iter().collect();
        self
    }

    /// Sets [`exporters`](Self#structfield.exporters).
    #[must_use]
    pub fn exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.exporters = exporters.into_iter().collect();
        self
    }

    /// Changes the configuration that `RustlsAcceptor` makes of all other options, for what they do not
    /// cover. Other backends do not call it. Several changes apply in the order of these calls.
    ///
    /// With several [`groups`](Self#structfield.groups), the acceptor has more than one configuration,
    /// and the change is called for each. A panic of it is a panic of the constructor.
    ///
    /// ```
    /// # fn config(config: corelane::tls::TlsConfig) -> corelane::tls::TlsConfig {
    /// config.rustls(|rustls| rustls.max_fragment_size = Some(4096))
    /// # }
    /// ```
    ///
    /// Building the acceptor fails if the change replaces the first ALPN protocol, for which there is
    /// [`alpn_protocols`](Self#structfield.alpn_protocols), or turns early data on, in which a
    /// [`Server`](crate::Server) would lose requests.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    #[must_use]
    pub fn rustls(
        mut self,
        change: impl Fn(&mut crates::rustls::ServerConfig) + Send + Sync + 'static,
    ) -> Self {
        self.rustls.push(std::sync::Arc::new(change));
        self
    }

    /// Changes the context that `OpensslAcceptor` makes of all other options, for what they do not
    /// cover. Other backends do not call it. Several changes apply in the order of these calls.
    ///
    /// Two things follow it: the callback that chooses from
    /// [`alpn_protocols`](Self#structfield.alpn_protocols), and for each session the choice of one of
    /// [`groups`](Self#structfield.groups), if there are any. Client certificates belong into
    /// [`client_auth`](Self#structfield.client_auth): a session resumes without them if only a change
    /// demands them. A panic of it is a panic of the constructor.
    ///
    /// ```
    /// # fn config(config: corelane::tls::TlsConfig) -> corelane::tls::TlsConfig {
    /// config.openssl(|context| context.set_sigalgs_list("ECDSA+SHA256:RSA-PSS+SHA256"))
    /// # }
    /// ```
    ///
    /// Building the acceptor fails with the error of the change
    /// ([`Error::is_config`](crate::Error::is_config)), and if the change lowers the minimum version or
    /// turns early data on, in which a [`Server`](crate::Server) would lose requests.
    #[cfg(feature = "openssl")]
    #[cfg_attr(docsrs, doc(cfg(feature = "openssl")))]
    #[must_use]
    pub fn openssl(
        mut self,
        change: impl Fn(
            &mut crates::openssl::ssl::SslContextBuilder,
        ) -> Result<(), crates::openssl::error::ErrorStack>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.openssl.push(std::sync::Arc::new(change));
        self
    }
}
