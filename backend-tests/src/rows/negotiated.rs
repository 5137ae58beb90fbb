//! What a session reports after its handshake.

use std::sync::Arc;

use corelane::{
    ProtocolName,
    tls::{CipherSuite, NamedGroup, TlsVersion},
};
use rustls::HandshakeKind;

use crate::{
    backend::Backend,
    client::client_config,
    session::{Client, Pair, SERVER_NAME},
};

pub(super) fn negotiated_is_complete(backend: &Backend) {
    for version in backend.versions() {
        let config = Arc::new(client_config(version, &[b"x", b"h2"]));
        for _ in 0..2 {
            let mut pair = Pair::begin(backend.acceptor(), Client::with(Arc::clone(&config)));
            pair.shake_hands();
            let negotiated = pair.session.negotiated();
            let client = pair.client.connection();
            assert_eq!(negotiated.alpn_protocol, Some(ProtocolName::H2));
            let spoken = client.protocol_version().expect("a version");
            assert_eq!(negotiated.tls_version, Some(TlsVersion(spoken.into())));
            let suite = client.negotiated_cipher_suite().expect("a suite").suite();
            assert_eq!(negotiated.cipher_suite, Some(CipherSuite(suite.into())));
            assert_eq!(negotiated.server_name.as_deref(), Some(SERVER_NAME));
            let resumed = client.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(negotiated.resumed, Some(resumed), "{version}");
            assert!(negotiated.peer_certificates.is_empty());
            assert_eq!(negotiated.peer_subject, None);
        }
    }
}

pub(super) fn key_exchange_group_is_reported(backend: &Backend) {
    for version in backend.versions() {
        let config = Arc::new(client_config(version, &[b"h2"]));
        // Full, then resumed, which has no key exchange under TLS 1.2.
        for _ in 0..2 {
            let mut pair = Pair::begin(backend.acceptor(), Client::with(Arc::clone(&config)));
            pair.shake_hands();
            let group = pair.client.connection().negotiated_key_exchange_group();
            let group = group.map(|group| NamedGroup(group.name().into()));
            assert_eq!(
                pair.session.negotiated().key_exchange_group,
                group,
                "{version}"
            );
        }
    }
}
