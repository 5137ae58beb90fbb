//! What a session does after it failed.

use std::io::ErrorKind;

use super::inputs::GARBAGE;
use crate::{
    backend::Backend,
    session::{Client, Pair, Peer, Wire, kind},
};

pub(super) fn failed_session_stays_failed(backend: &Backend) {
    for version in backend.versions() {
        let peer = Peer::Tls(version);
        let mut shaking = Pair::begin(backend.acceptor(), Client::new(peer));
        shaking.until_client_finished();
        // What would have been right, after the failure.
        let finished: Vec<_> = shaking.wire.incoming.iter().copied().collect();
        *shaking.wire.incoming.back_mut().expect("Finished") ^= 1;
        assert_eq!(kind(shaking.handshake()), ErrorKind::InvalidData);
        let mut reading = Pair::open(backend.acceptor(), peer);
        let mut transit = Wire::default();
        reading.client.send(b"data", &mut transit);
        reading.wire.incoming.extend(GARBAGE);
        assert_eq!(kind(reading.read()), ErrorKind::InvalidData);
        let data = transit.incoming.into();
        for (mut pair, right, in_handshake) in [(shaking, finished, true), (reading, data, false)] {
            for _ in 0..2 {
                pair.flush();
                pair.wire.incoming.clear();
                pair.wire.incoming.extend(&right);
                if in_handshake {
                    assert_ne!(kind(pair.handshake()), ErrorKind::WouldBlock);
                }
                assert_ne!(kind(pair.write(b"x")), ErrorKind::WouldBlock);
                assert_ne!(kind(pair.read()), ErrorKind::WouldBlock);
                pair.session.negotiated();
                pair.session.send_close_notify();
            }
        }
    }
}
