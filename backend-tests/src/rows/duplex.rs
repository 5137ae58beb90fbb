//! Both directions at once under a hostile peer: writes are blocked, and the peer sends something that
//! needs an answer. Streams that wrap each other panic here.

use std::io::ErrorKind;

use corelane::tls::TlsVersion;
use rustls::ContentType;

use super::{
    alerts::{alert, assert_protocol_error},
    inputs::{GARBAGE, client_hello},
};
use crate::{
    backend::Backend,
    client::client_config,
    session::{Pair, Peer, RawClient, Wire, kind, pattern},
};

fn blocked(backend: &Backend, version: TlsVersion) -> (Pair, Vec<u8>) {
    let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
    let taken = pair.write_until_blocked(&pattern(30_000));
    (pair, taken)
}

pub(super) fn garbage_while_writes_are_blocked(backend: &Backend) {
    for version in backend.versions() {
        let (mut pair, taken) = blocked(backend, version);
        pair.wire.incoming.extend(GARBAGE);
        let error = pair.read().expect_err("a record that does not decrypt");
        assert_protocol_error(&error);
        let _ = pair.write(b"x");
        pair.session.send_close_notify();
        pair.wire.room = usize::MAX;
        pair.flush();
        assert!(pair.client.received == taken, "what was taken is sent");
        assert_eq!(alert(&pair.client), Some(20), "{version}");
    }
}

pub(super) fn key_updates_while_writes_are_blocked(backend: &Backend) {
    let (mut pair, mut taken) = blocked(backend, TlsVersion::TLS_1_3);
    for _ in 0..2 {
        pair.client.update_keys(&mut pair.wire);
        for _ in 0..2 {
            assert_eq!(kind(pair.read()), ErrorKind::WouldBlock);
            assert_eq!(kind(pair.write(b"x")), ErrorKind::WouldBlock);
        }
    }
    pair.wire.room = usize::MAX;
    pair.write_all(b"behind them");
    taken.extend(b"behind them");
    assert!(pair.client.received == taken, "other bytes arrive");
    pair.client.send(b"data", &mut pair.wire);
    assert_eq!(pair.read_all(4), b"data");
}

pub(super) fn half_a_key_update_while_writes_are_blocked(backend: &Backend) {
    let (mut pair, mut taken) = blocked(backend, TlsVersion::TLS_1_3);
    let mut transit = Wire::default();
    pair.client.update_keys(&mut transit);
    let update: Vec<_> = transit.incoming.into();
    let (head, tail) = update.split_at(update.len() / 2);
    pair.wire.incoming.extend(head);
    for _ in 0..2 {
        assert_eq!(kind(pair.read()), ErrorKind::WouldBlock);
        assert_eq!(kind(pair.write(b"x")), ErrorKind::WouldBlock);
    }
    pair.wire.room = usize::MAX;
    pair.write_all(b"between");
    taken.extend(b"between");
    pair.wire.incoming.extend(tail);
    assert_eq!(kind(pair.read()), ErrorKind::WouldBlock);
    pair.write_all(b"behind");
    taken.extend(b"behind");
    assert!(pair.client.received == taken, "other bytes arrive");
}

/// CVE-2011-1473. The session may refuse it with a warning or fail. It does not panic, and starts no
/// handshake.
pub(super) fn renegotiation_while_writes_are_blocked(backend: &Backend) {
    let version = TlsVersion::TLS_1_2;
    let client = RawClient::client(client_config(version, &[b"h2"]));
    let mut pair = Pair::begin(backend.acceptor(), client);
    pair.shake_hands();
    let mut raw = RawClient::take_over(&mut pair);
    let taken = pair.write_until_blocked(&pattern(30_000));
    let hello = &client_hello(version)[5..];
    for _ in 0..2 {
        let record = raw.seal(ContentType::Handshake, hello);
        pair.wire.incoming.extend(record);
        for _ in 0..2 {
            let read = pair.read().expect_err("no plaintext was sent");
            let allowed = [ErrorKind::WouldBlock, ErrorKind::InvalidData];
            assert!(allowed.contains(&read.kind()), "{read:?}");
            pair.write(b"x").expect_err("the wire is blocked");
        }
    }
    pair.wire.room = usize::MAX;
    pair.session.flush(&mut pair.wire).expect("there is room");
    let mut received = Vec::new();
    for (kind, content) in raw.open(&mut pair.wire) {
        match kind {
            ContentType::ApplicationData => received.extend(content),
            ContentType::Alert => {}
            _ => panic!("a handshake begins: {kind:?}"),
        }
    }
    assert!(received == taken, "what was taken is sent");
}

pub(super) fn end_of_the_wire_while_writes_are_blocked(backend: &Backend) {
    for version in backend.versions() {
        let (mut pair, taken) = blocked(backend, version);
        pair.wire.ended = true;
        for _ in 0..2 {
            assert_eq!(kind(pair.read()), ErrorKind::UnexpectedEof);
            let _ = pair.write(b"x");
        }
        pair.wire.room = usize::MAX;
        pair.flush();
        assert!(
            pair.client.received.starts_with(&taken),
            "what was taken is sent"
        );
    }
}

pub(super) fn close_notify_while_writes_are_blocked(backend: &Backend) {
    for version in backend.versions() {
        let (mut pair, mut taken) = blocked(backend, version);
        let mut transit = Wire::default();
        pair.client.close(&mut transit);
        pair.wire.incoming.append(&mut transit.incoming);
        for _ in 0..2 {
            assert_eq!(pair.read().expect("a clean close"), b"");
            assert_eq!(kind(pair.write(b"x")), ErrorKind::WouldBlock);
        }
        pair.wire.room = usize::MAX;
        pair.write_all(b"behind it");
        taken.extend(b"behind it");
        assert!(pair.client.received == taken, "other bytes arrive");
    }
}
