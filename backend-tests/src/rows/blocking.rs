//! Wires that are not ready.

use std::io::ErrorKind;

use corelane::tls::TlsVersion;

use crate::{
    backend::Backend,
    session::{Client, Pair, Peer, Wire, kind, pattern},
};

/// Each call moves one byte, and every second one blocks.
pub(super) fn would_block_is_passed_on_at_every_byte(backend: &Backend) {
    for peer in backend.peers() {
        let mut pair = Pair::begin(backend.acceptor(), Client::new(peer));
        pair.wire.at_once = 1;
        pair.shake_hands();
        let sent = pattern(3000);
        pair.client.send(&sent, &mut pair.wire);
        assert_eq!(pair.read_all(sent.len()), sent);
        pair.write_all(&sent);
        assert_eq!(pair.client.received, sent);
    }
}

/// A write that has to read first finds half a record (RFC 8446 section 4.6.3).
pub(super) fn half_received_record_fails_no_write(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
        let mut transit = Wire::default();
        match version {
            TlsVersion::TLS_1_3 => pair.client.update_keys(&mut transit),
            _ => pair.client.send(b"", &mut transit),
        }
        pair.client.send(b"data", &mut transit);
        let sent: Vec<_> = transit.incoming.into();
        let mut meanwhile = 0;
        for byte in sent {
            pair.wire.incoming.push_back(byte);
            match pair.read() {
                Ok(read) => assert_eq!(read, b"data"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    pair.write_all(b".");
                    meanwhile += 1;
                }
            }
        }
        assert_eq!(pair.client.received, b".".repeat(meanwhile));
        assert_eq!(kind(pair.read()), ErrorKind::WouldBlock);
    }
}

pub(super) fn wire_error_is_returned_unchanged(backend: &Backend) {
    for peer in backend.peers() {
        let mut pair = Pair::open(backend.acceptor(), peer);
        pair.wire.broken = true;
        assert_eq!(kind(pair.read()), ErrorKind::ConnectionReset);
        let written = pair
            .write(b"x")
            .and_then(|_| pair.session.flush(&mut pair.wire));
        assert_eq!(kind(written), ErrorKind::ConnectionReset);
        if peer.is_tls() {
            let mut pair = Pair::begin(backend.acceptor(), Client::new(peer));
            pair.wire.broken = true;
            assert_eq!(kind(pair.handshake()), ErrorKind::ConnectionReset);
        }
    }
}
