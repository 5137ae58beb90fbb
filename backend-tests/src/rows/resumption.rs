//! Sessions that resume (RFC 8446 section 2.2, RFC 5077).

use std::sync::Arc;

use corelane::tls::{TicketKeys, TlsAcceptor, TlsVersion};
use rustls::{ClientConfig, HandshakeKind};

use crate::{
    backend::Backend,
    client::client_config,
    session::{Client, Pair},
};

/// How a connection ends before the next one resumes its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    CloseNotify,
    Dropped,
}

/// Connects, and tells whether the session resumed: both sides have to agree.
pub(super) fn visit(acceptor: &dyn TlsAcceptor, client: &Arc<ClientConfig>) -> bool {
    visit_until(acceptor, client, End::CloseNotify)
}

fn visit_until(acceptor: &dyn TlsAcceptor, client: &Arc<ClientConfig>, end: End) -> bool {
    let mut pair = Pair::begin(acceptor, Client::with(Arc::clone(client)));
    pair.shake_hands();
    let resumed = pair.client.connection().handshake_kind() == Some(HandshakeKind::Resumed);
    let reported = pair.session.negotiated().resumed;
    assert_eq!(reported, Some(resumed), "what the session reports");
    pair.write_all(b"data");
    assert_eq!(pair.client.received, b"data");
    if end == End::CloseNotify {
        pair.client.close(&mut pair.wire);
        assert_eq!(pair.read().expect("a clean close"), b"");
        pair.session.send_close_notify();
        pair.flush();
    }
    resumed
}

fn returning(version: TlsVersion) -> Arc<ClientConfig> {
    Arc::new(client_config(version, &[b"h2"]))
}

pub(super) fn sessions_resume(backend: &Backend) {
    for version in backend.versions() {
        for end in [End::CloseNotify, End::Dropped] {
            let client = returning(version);
            for resumed in [false, true, true] {
                let got = visit_until(backend.acceptor(), &client, end);
                assert_eq!(got, resumed, "{version}, {end:?}");
            }
        }
        // Each acceptor has its own keys.
        let client = returning(version);
        assert!(!visit(backend.acceptor(), &client));
        let other = backend.acceptor_of(&Backend::config());
        assert!(!visit(&*other, &client), "{version}: in another acceptor");
    }
}

pub(super) fn sessions_resume_where_the_ticket_keys_are_the_same(backend: &Backend) {
    let [first, second] = [0, 100].map(|from: u8| std::array::from_fn(|i| from + i as u8));
    let keys = |keys: &[[u8; 32]]| TicketKeys::from_bytes(keys).expect("keys");
    let [one, two, rotated] = [keys(&[first]), keys(&[second]), keys(&[second, first])];
    let with =
        |keys: &TicketKeys| backend.acceptor_of(&Backend::config().ticket_keys(keys.clone()));
    for version in backend.versions() {
        for (what, before, after, resumed) in [
            ("the same", &one, &one, true),
            ("other keys", &one, &two, false),
            ("the previous key", &one, &rotated, true),
            ("without the previous key", &rotated, &two, true),
        ] {
            let client = returning(version);
            assert!(!visit(&*with(before), &client));
            let got = visit(&*with(after), &client);
            assert_eq!(got, resumed, "{version}, {what}");
        }
    }
}

pub(super) fn resumption_can_be_turned_off(backend: &Backend) {
    let acceptor = backend.acceptor_of(&Backend::config().session_resumption(false));
    for version in backend.versions() {
        let client = returning(version);
        for _ in 0..3 {
            assert!(!visit(&*acceptor, &client), "{version}");
        }
    }
}
