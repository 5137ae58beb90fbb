//! close_notify, in both directions (RFC 8446 section 6.1).

use std::io::ErrorKind;

use corelane::tls::MAX_SEALED;

use crate::{
    backend::Backend,
    session::{Client, Pair, Peer, kind, pattern},
};

pub(super) fn close_notify_is_a_clean_close(backend: &Backend) {
    for version in backend.versions() {
        for ended in [false, true] {
            let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
            pair.client.send(b"data", &mut pair.wire);
            pair.client.close(&mut pair.wire);
            pair.wire.ended = ended;
            assert_eq!(pair.read().expect("a whole record"), b"data");
            for _ in 0..3 {
                assert_eq!(pair.read().expect("a clean close"), b"");
            }
            // close_notify closes one direction only.
            pair.write_all(b"answer");
            pair.session.send_close_notify();
            pair.flush();
            assert_eq!(pair.client.received, b"answer");
            assert!(pair.client.closed, "no close_notify is sent");
        }
    }
}

pub(super) fn write_fails_after_close_notify_and_read_does_not(backend: &Backend) {
    for peer in backend.peers() {
        let mut pair = Pair::open(backend.acceptor(), peer);
        pair.session.send_close_notify();
        for _ in 0..2 {
            assert_ne!(kind(pair.write(b"too late")), ErrorKind::WouldBlock);
            pair.flush();
        }
        assert_eq!(pair.client.closed, peer.is_tls(), "close_notify is sent");
        assert_eq!(pair.client.received, b"");
        pair.client.send(b"still read", &mut pair.wire);
        assert_eq!(pair.read_all(10), b"still read");
        // Once is enough.
        pair.session.send_close_notify();
        pair.flush();
        assert_eq!(pair.client.error, None);
    }
}

pub(super) fn written_data_precedes_close_notify(backend: &Backend) {
    for peer in backend.peers() {
        let mut pair = Pair::open(backend.acceptor(), peer);
        let taken = pair.write_until_blocked(&pattern(MAX_SEALED));
        pair.session.send_close_notify();
        assert!(pair.session.wants_flush() || !peer.is_tls());
        pair.wire.room = usize::MAX;
        pair.flush();
        assert!(pair.client.received == taken, "other bytes arrive");
        assert_eq!(pair.client.closed, peer.is_tls(), "close_notify is sent");
    }
}

/// A client that gives up before the handshake is complete.
pub(super) fn close_notify_in_the_handshake_is_no_success(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::begin(backend.acceptor(), Client::new(Peer::Tls(version)));
        assert_eq!(kind(pair.handshake()), ErrorKind::WouldBlock);
        pair.wire.incoming.extend([21, 3, 3, 0, 2, 1, 0]);
        pair.wire.ended = true;
        let got = kind(pair.handshake());
        let allowed = [ErrorKind::InvalidData, ErrorKind::UnexpectedEof];
        assert!(allowed.contains(&got), "{version}: {got:?}");
    }
}
