//! Client certificates.

use std::{io::ErrorKind, sync::Arc};

use corelane::tls::ClientAuth;

use super::alerts::alert;
use crate::{
    backend::Backend,
    certs::{CLIENT, STRANGER, authorities},
    client::{client_config, client_config_with},
    session::{Client, Pair},
};

pub(super) fn client_certificates_are_verified_and_reported(backend: &Backend) {
    let auth = ClientAuth::from_pem(authorities()).expect("PEM");
    let required = backend.acceptor_of(&Backend::config().client_auth(auth.clone()));
    let optional = backend.acceptor_of(&Backend::config().client_auth(auth.optional()));
    for version in backend.versions() {
        let none = || Client::with(client_config(version, &[b"h2"]));
        let with = |own| Client::with(client_config_with(version, own));
        for acceptor in [&required, &optional] {
            let config = Arc::new(client_config_with(version, &CLIENT));
            // A resumed session has the chain of its full handshake.
            for _ in 0..2 {
                let mut pair = Pair::begin(&**acceptor, Client::with(Arc::clone(&config)));
                pair.shake_hands();
                let negotiated = pair.session.negotiated();
                assert_eq!(negotiated.peer_certificates, CLIENT.chain_der, "{version}");
                let subject = negotiated.peer_subject.as_deref();
                assert_eq!(subject, Some("CN=client.example"), "{version}");
            }
        }
        let mut pair = Pair::begin(&*optional, none());
        pair.shake_hands();
        assert!(pair.session.negotiated().peer_certificates.is_empty());
        for (what, acceptor, client) in [
            ("none", &required, none()),
            ("a stranger's", &required, with(&STRANGER)),
            ("a stranger's, optional", &optional, with(&STRANGER)),
        ] {
            let mut pair = Pair::begin(&**acceptor, client);
            let mut turns = 0;
            let error = loop {
                match pair.handshake() {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => break error,
                    Ok(()) => panic!("{version}: {what} is accepted"),
                }
                pair.client.turn(&mut pair.wire);
                turns += 1;
                assert!(turns < 100, "{version}, {what}: no end of the handshake");
            };
            assert_eq!(
                error.kind(),
                ErrorKind::PermissionDenied,
                "{version}, {what}"
            );
            pair.flush();
            let got = alert(&pair.client);
            // Of handshakes and certificates: RFC 8446 section 6.2, RFC 5246 section 7.2.2.
            let allowed = [40, 42, 46, 48, 116].map(Some);
            assert!(allowed.contains(&got), "{version}, {what}: alert {got:?}");
        }
    }
}
