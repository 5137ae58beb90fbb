//! Which options of a configuration a backend supports.

use super::{TlsConfig, exporter};
use crate::error::Error;

/// An option of [`TlsConfig`] that not every backend supports and that is off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsOption {
    /// [`TlsConfig::session_resumption`](TlsConfig#structfield.session_resumption) is false.
    NoSessionResumption,
    /// [`TlsConfig::ticket_keys`](TlsConfig#structfield.ticket_keys).
    TicketKeys,
    /// [`TlsConfig::client_auth`](TlsConfig#structfield.client_auth).
    ClientAuth,
    /// Revocation lists in it ([`ClientAuth::crl_pem`](super::ClientAuth::crl_pem)).
    RevocationLists,
    /// [`TlsConfig::key_log`](TlsConfig#structfield.key_log): the backend writes to a
    /// [`KeyLog`](super::KeyLog).
    KeyLog,
    /// [`Identity::ocsp_response`](super::Identity::ocsp_response): the backend sends it while
    /// [`is_current`](super::OcspResponse::is_current) is true.
    OcspResponse,
    /// [`TlsConfig::cipher_suites`](TlsConfig#structfield.cipher_suites).
    CipherSuites,
    /// [`TlsConfig::groups`](TlsConfig#structfield.groups).
    Groups,
    /// [`TlsConfig::exporters`](TlsConfig#structfield.exporters): the backend fills
    /// [`Negotiated::exported`](super::Negotiated#structfield.exported).
    Exporters,
}

impl TlsConfig {
    /// Checks that every option which is set is among `supported`. For implementors of
    /// [`TlsAcceptor`](super::TlsAcceptor): call it when the acceptor is built. A later version of
    /// corelane may have more options, and a backend that does not know one must not ignore it.
    ///
    /// `backend` is the name of the backend, for the message. A backend that can say why it does not
    /// support an option checks this first.
    ///
    /// # Errors
    ///
    /// [`Error::is_unsupported`] with the name of the first option that is not supported.
    /// [`Error::is_config`] if an exporter is out of the limits of [`Exporter`](super::Exporter).
    pub fn check_support(&self, backend: &str, supported: &[TlsOption]) -> Result<(), Error> {
        // Without `..`, so that a new field does not compile until it is considered here.
        let Self {
            identity,
            min_version: _,
            alpn_protocols: _,
            session_resumption,
            ticket_keys,
            client_auth,
            key_log,
            cipher_suites,
            groups,
            exporters,
            // Other backends do not call them.
            #[cfg(feature = "rustls")]
                rustls: _,
            #[cfg(feature = "openssl")]
                openssl: _,
        } = self;
        let has_lists = client_auth
            .as_ref()
            .is_some_and(|auth| !auth.revocation_lists().is_empty());
        let options = [
            (
                TlsOption::NoSessionResumption,
                !session_resumption,
                "session_resumption = false",
            ),
            (TlsOption::TicketKeys, ticket_keys.is_some(), "ticket keys"),
            (
                TlsOption::ClientAuth,
                client_auth.is_some(),
                "client certificates",
            ),
            (TlsOption::RevocationLists, has_lists, "revocation lists"),
            (TlsOption::KeyLog, *key_log, "a key log"),
            (
                TlsOption::OcspResponse,
                identity.ocsp_response().is_some(),
                "OCSP responses",
            ),
            (
                TlsOption::CipherSuites,
                !cipher_suites.is_empty(),
                "cipher_suites",
            ),
            (TlsOption::Groups, !groups.is_empty(), "groups"),
            (TlsOption::Exporters, !exporters.is_empty(), "exporters"),
        ];
        for (option, is_set, name) in options {
            if is_set && !supported.contains(&option) {
                let why = "remove the option, or use a backend that supports it";
                return Err(Error::unsupported(backend, name, why));
            }
        }
        exporter::checked(exporters).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{CipherSuite, ClientAuth, Exporter, Identity, NamedGroup, TicketKeys};

    #[test]
    fn options_that_a_backend_does_not_name_are_unsupported() {
        use TlsOption as Option;
        let made = rcgen::generate_simple_self_signed([]).expect("a certificate");
        let key = made.signing_key.serialize_pem();
        let config = TlsConfig::new(Identity::from_pem(made.cert.pem(), key).expect("PEM"));
        config.check_support("toy", &[]).expect("the defaults");
        let auth = ClientAuth::from_pem(made.cert.pem()).expect("an authority");
        for (config, option, name) in [
            (
                config.clone().session_resumption(false),
                Option::NoSessionResumption,
                "session_resumption",
            ),
            (
                config.clone().ticket_keys(TicketKeys::random()),
                Option::TicketKeys,
                "ticket keys",
            ),
            (
                config.clone().client_auth(auth),
                Option::ClientAuth,
                "client certificates",
            ),
            (config.clone().key_log(true), Option::KeyLog, "a key log"),
            (
                config.clone().cipher_suites([CipherSuite(0x1301)]),
                Option::CipherSuites,
                "cipher_suites",
            ),
            (
                config.clone().groups([NamedGroup::X25519]),
                Option::Groups,
                "groups",
            ),
            (
                config.clone().exporters([Exporter::channel_binding()]),
                Option::Exporters,
                "exporters",
            ),
        ] {
            config.check_support("toy", &[option]).expect("supported");
            let error = config.check_support("toy", &[]).expect_err("not supported");
            assert!(error.is_unsupported());
            let text = error.to_string();
            assert!(text.starts_with("toy does not support"), "{text}");
            assert!(text.contains(name), "{text}");
        }
        let config = config.exporters([Exporter::new("EXPERIMENTAL", 0)]);
        let error = config.check_support("toy", &[Option::Exporters]);
        assert!(error.expect_err("no bytes").is_config());
    }
}
