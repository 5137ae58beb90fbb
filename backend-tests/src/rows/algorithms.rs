//! Options that say which algorithms are used, and what sessions export.

use std::sync::Arc;

use corelane::tls::{CipherSuite, Exporter, NamedGroup, TlsVersion};

use crate::{
    backend::Backend,
    client::client_config,
    session::{Client, Pair, Peer},
};

/// A suite that few prefer.
pub(super) fn cipher_suite(version: TlsVersion) -> CipherSuite {
    match version {
        TlsVersion::TLS_1_2 => CipherSuite(0xc02b), // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        _ => CipherSuite(0x1301),                   // TLS_AES_128_GCM_SHA256
    }
}

pub(super) fn configured_cipher_suites_are_used(backend: &Backend) {
    let suites = backend.versions().into_iter().map(cipher_suite);
    let acceptor = backend.acceptor_of(&Backend::config().cipher_suites(suites));
    for version in backend.versions() {
        let mut pair = Pair::open(&*acceptor, Peer::Tls(version));
        let suite = pair.client.connection().negotiated_cipher_suite();
        let used = suite.map(|suite| CipherSuite(suite.suite().into()));
        assert_eq!(used, Some(cipher_suite(version)), "{version}");
    }
}

pub(super) fn configured_groups_are_used(backend: &Backend) {
    let acceptor = backend.acceptor_of(&Backend::config().groups([NamedGroup::SECP384R1]));
    for version in backend.versions() {
        let mut pair = Pair::open(&*acceptor, Peer::Tls(version));
        let group = pair.client.connection().negotiated_key_exchange_group();
        let used = group.map(|group| NamedGroup(group.name().into()));
        assert_eq!(used, Some(NamedGroup::SECP384R1), "{version}");
    }
}

const LABEL: &str = "EXPERIMENTAL backend tests";

pub(super) fn exporters() -> [Exporter; 2] {
    let with_context = Exporter::new(LABEL, 50).context(b"a context");
    [Exporter::channel_binding(), with_context]
}

pub(super) fn both_ends_export_the_same(backend: &Backend) {
    let acceptor = backend.acceptor_of(&Backend::config().exporters(exporters()));
    for version in backend.versions() {
        let config = Arc::new(client_config(version, &[b"h2"]));
        // Full, then resumed.
        for _ in 0..2 {
            let mut pair = Pair::begin(&*acceptor, Client::with(Arc::clone(&config)));
            pair.shake_hands();
            let negotiated = pair.session.negotiated();
            for Exporter {
                label,
                context,
                length,
                ..
            } in exporters()
            {
                let client = pair.client.connection();
                let context = context.as_deref();
                let material =
                    client.export_keying_material(vec![0; length], label.as_bytes(), context);
                let wanted = material.expect("the handshake is complete");
                assert_eq!(
                    negotiated.exported(&label),
                    Some(&*wanted),
                    "{version}, {label}"
                );
            }
        }
    }
}
