//! Certificates.

use corelane::tls::{Identity, ServerNameAcceptor, TlsConfig};

use crate::{
    backend::Backend,
    certs::{LOCALHOST, OTHER},
    client::client_config,
    session::{Client, Pair},
};

fn chain(client: &mut Client) -> Vec<Vec<u8>> {
    let chain = client.connection().peer_certificates();
    let chain = chain.expect("a chain is sent").iter();
    chain.map(|it| it.to_vec()).collect()
}

pub(super) fn chain_is_sent_whole_and_in_order(backend: &Backend) {
    for version in backend.versions() {
        let client = Client::with(client_config(version, &[b"h2"]));
        let mut pair = Pair::begin(backend.acceptor(), client);
        pair.shake_hands();
        let sent = chain(&mut pair.client);
        assert!(
            sent == LOCALHOST.chain_der,
            "{version}: {} certificates are sent, not the chain of {}",
            sent.len(),
            LOCALHOST.chain_der.len()
        );
    }
}

/// Through [`ServerNameAcceptor`], which selects one of several acceptors of a backend.
pub(super) fn server_name_selects_the_certificate(backend: &Backend) {
    let identities = [LOCALHOST.identity(), OTHER.identity()];
    let [first, second] = identities.each_ref().map(|identity| {
        let acceptor = backend.acceptor_of(&TlsConfig::new(identity.clone()));
        (identity, acceptor)
    });
    let acceptor = ServerNameAcceptor::new(first.0, first.1)
        .and_then(|acceptor| acceptor.add(second.0, second.1))
        .expect("two certificates with different names");
    for version in backend.versions() {
        for (name, reported, certified) in [
            ("localhost", Some("localhost"), &LOCALHOST),
            ("other.example", Some("other.example"), &OTHER),
            ("unknown.example", Some("unknown.example"), &LOCALHOST),
            // An address is no server name (RFC 6066 section 3).
            ("127.0.0.1", None, &LOCALHOST),
        ] {
            let client = Client::asking_for(name, client_config(version, &[b"h2"]));
            let mut pair = Pair::begin(&acceptor, client);
            pair.shake_hands();
            let sent = chain(&mut pair.client);
            assert!(sent == certified.chain_der, "{version}, {name}");
            let negotiated = pair.session.negotiated().server_name;
            assert_eq!(negotiated.as_deref(), reported, "{version}");
        }
    }
}

pub(super) fn unusable_identity_is_an_error_when_built(backend: &Backend) {
    let mismatched =
        Identity::from_pem(LOCALHOST.chain_pem.as_str(), OTHER.key_pem.as_str()).expect("PEM");
    let damaged = "-----BEGIN CERTIFICATE-----\nMAMBAf8=\n-----END CERTIFICATE-----\n";
    let damaged = Identity::from_pem(damaged, LOCALHOST.key_pem.as_str()).expect("PEM");
    for (what, identity) in [("another key", mismatched), ("no X.509", damaged)] {
        match backend.make(&TlsConfig::new(identity)) {
            Ok(_) => panic!("an acceptor is made of a certificate with {what}"),
            Err(error) => assert!(
                error.is_config() || error.is_unsupported(),
                "{what}: {error:?}"
            ),
        }
    }
}
