//! What a backend lacks is really missing, and it says so.

use std::sync::Arc;

use corelane::tls::{ClientAuth, NamedGroup, TicketKeys, TlsConfig, TlsVersion};

use super::{
    algorithms::{cipher_suite, exporters},
    resumption::visit,
    versions::is_not_spoken,
};
use crate::{
    backend::Backend,
    capability::Capability,
    certs::authorities,
    client::client_config,
    session::{Pair, Peer},
};

/// Checks that the backend does not have what it says it lacks.
pub(crate) fn is_absent(backend: &Backend, capability: Capability) {
    match capability {
        Capability::Tls12 => is_not_spoken(backend, TlsVersion::TLS_1_2),
        Capability::Tls13 => {
            is_not_spoken(backend, TlsVersion::TLS_1_3);
            unsupported(backend, Backend::config().min_version(TlsVersion::TLS_1_3));
        }
        Capability::Resumption => {
            for version in backend.versions() {
                let client = Arc::new(client_config(version, &[b"h2"]));
                let resumed = [(); 2].map(|()| visit(backend.acceptor(), &client));
                assert_eq!(
                    resumed, [false; 2],
                    "sessions resume: do not say that it lacks it"
                );
            }
        }
        Capability::ResumptionOff => {
            unsupported(backend, Backend::config().session_resumption(false));
        }
        Capability::TicketKeys => {
            unsupported(backend, Backend::config().ticket_keys(TicketKeys::random()));
        }
        Capability::ClientAuth => {
            let auth = ClientAuth::from_pem(authorities()).expect("PEM");
            unsupported(backend, Backend::config().client_auth(auth));
        }
        Capability::CipherSuites => {
            let suites = backend.versions().into_iter().map(cipher_suite);
            unsupported(backend, Backend::config().cipher_suites(suites));
        }
        Capability::Groups => {
            unsupported(backend, Backend::config().groups([NamedGroup::SECP384R1]));
        }
        Capability::Exporters => {
            unsupported(backend, Backend::config().exporters(exporters()));
        }
        Capability::KeyExchangeGroup => {
            for version in backend.versions() {
                let pair = Pair::open(backend.acceptor(), Peer::Tls(version));
                let group = pair.session.negotiated().key_exchange_group;
                assert_eq!(group, None, "it is reported: do not say that it lacks it");
            }
        }
    }
}

fn unsupported(backend: &Backend, config: TlsConfig) {
    match backend.make(&config) {
        Ok(_) => panic!(
            "the backend says that it lacks this, and makes an acceptor for it: return \
             Error::unsupported"
        ),
        Err(error) => assert!(
            error.is_unsupported(),
            "the error is not Error::unsupported: {error:?}"
        ),
    }
}
