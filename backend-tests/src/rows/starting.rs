//! The start of sessions.

use corelane::{
    ProtocolName,
    tls::{self, ClientHello, Start},
};

use super::inputs::client_hello;
use crate::{
    backend::Backend,
    session::{Client, Pair},
};

/// What a server checks before it starts.
pub(super) fn acceptor_suits_a_server(backend: &Backend) {
    let acceptor = backend.acceptor();
    assert!(!acceptor.backend().is_empty(), "the backend has a name");
    acceptor.check().expect("a server can use it");
    let is_tls = backend.plain.is_none();
    assert_eq!(acceptor.expects_client_hello(), is_tls);
    if let Some(protocols) = acceptor.alpn_protocols() {
        assert_eq!(protocols, [ProtocolName::H2]);
    }
}

/// A client that leaves, or the limit of the handshake, drops a session at any time: before it is
/// started, before and during its handshake. Others are not affected.
pub(super) fn sessions_may_be_dropped_at_any_time(backend: &Backend) {
    for peer in backend.peers() {
        for turns in 0..4 {
            let mut pair = Pair::begin(backend.acceptor(), Client::new(peer));
            for _ in 0..turns {
                let _ = pair.handshake();
                pair.client.turn(&mut pair.wire);
            }
        }
        Pair::open(backend.acceptor(), peer);
    }
    for version in backend.versions() {
        let hello = ClientHello::from_records(&client_hello(version)).expect("a ClientHello");
        let started = backend.acceptor().start(&tls::Client::new(&hello));
        if let Start::Later(mut future) = started.expect("a session") {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = future.as_mut().poll(&mut cx);
        }
    }
}
