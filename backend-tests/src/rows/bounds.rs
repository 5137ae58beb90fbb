//! How much a session holds, and how it fills records.

use std::io::{ErrorKind, IoSlice};

use corelane::tls::{MAX_PLAINTEXT, MAX_SEALED, TlsVersion};
use rustls::ContentType;

use super::inputs::client_hello;
use crate::{
    backend::Backend,
    client::client_config,
    session::{Pair, Peer, RawClient, kind, pattern},
};

pub(super) fn blocked_output_is_kept_and_bounded(backend: &Backend) {
    for peer in backend.peers() {
        for piece in [100, 10_000, 1_000_000] {
            let mut pair = Pair::open(backend.acceptor(), peer);
            let taken = pair.write_until_blocked(&pattern(piece));
            let held = pair.session.wants_flush();
            assert!(held || taken.is_empty(), "{} bytes are lost", taken.len());
            pair.wire.room = 1000;
            if held {
                let flushed = pair.session.flush(&mut pair.wire);
                assert_eq!(kind(flushed), ErrorKind::WouldBlock);
                assert_eq!(pair.wire.outgoing.len(), 1000, "all the room is used");
            }
            pair.wire.room = usize::MAX;
            pair.session.flush(&mut pair.wire).expect("there is room");
            let one_call = piece + (piece / MAX_PLAINTEXT + 1) * 64;
            let sealed = pair.wire.outgoing.len();
            assert!(sealed < MAX_SEALED + one_call, "{sealed} bytes were held");
            pair.flush();
            assert!(pair.client.received == taken, "other bytes arrive");
        }
    }
}

/// What a session may hold in all when its peer makes it answer.
const MOST: usize = 2 * MAX_SEALED + 1024;

/// RFC 8446 section 4.6.3: each KeyUpdate may ask for one in return. Data between them keeps the session
/// from taking them for an attack.
pub(super) fn answers_to_key_updates_are_bounded(backend: &Backend) {
    let mut pair = Pair::open(backend.acceptor(), Peer::Tls(TlsVersion::TLS_1_3));
    pair.wire.room = 0;
    let (mut taken, mut sent, mut received) = (0, 0, 0);
    for _ in 0..5_000 {
        pair.client.update_keys(&mut pair.wire);
        pair.client.send(b"x", &mut pair.wire);
        sent += 1;
        match pair.read() {
            Ok(read) => received += read.len(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error:?}");
                break;
            }
        }
        taken += pair.write(b"y").unwrap_or(0);
    }
    pair.wire.room = usize::MAX;
    pair.session.flush(&mut pair.wire).expect("there is room");
    let held = pair.wire.outgoing.len();
    assert!(held <= MOST, "{held} bytes were held");
    received += pair.read_all(sent - received).len();
    assert_eq!(received, sent);
    pair.flush();
    assert_eq!(pair.client.received, b"y".repeat(taken));
}

/// RFC 5246 section 7.4.1.1 and CVE-2011-1473: a request to renegotiate is refused or ends the
/// connection, and never holds more.
pub(super) fn answers_to_renegotiation_are_bounded(backend: &Backend) {
    let version = TlsVersion::TLS_1_2;
    let client = RawClient::client(client_config(version, &[b"h2"]));
    let mut pair = Pair::begin(backend.acceptor(), client);
    pair.shake_hands();
    let mut raw = RawClient::take_over(&mut pair);
    pair.wire.room = 0;
    let hello = &client_hello(version)[5..];
    for _ in 0..20_000 {
        if pair.wire.incoming.len() < MAX_SEALED {
            let record = raw.seal(ContentType::Handshake, hello);
            pair.wire.incoming.extend(record);
        }
        match pair.read() {
            Ok(read) => panic!("{read:?} was read, and never sent"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{error:?}");
                break;
            }
        }
        let _ = pair.write(b"y");
    }
    pair.wire.room = usize::MAX;
    pair.session.flush(&mut pair.wire).expect("there is room");
    let held = pair.wire.outgoing.len();
    assert!(held <= MOST, "{held} bytes were held");
}

pub(super) fn large_writes_fill_records(backend: &Backend) {
    for version in backend.versions() {
        let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
        // A library may send its session tickets before the first data.
        pair.write_all(b"x");
        let plaintext = pattern(4 * MAX_PLAINTEXT);
        let (head, rest) = plaintext.split_at(9);
        let (middle, tail) = rest.split_at(40_000);
        let slices = [head, &[], middle, tail].map(IoSlice::new);
        let taken = pair.session.write(&mut pair.wire, &slices);
        assert_eq!(taken.expect("there is room"), plaintext.len());
        pair.session.flush(&mut pair.wire).expect("there is room");
        let mut rest = &*pair.wire.outgoing.make_contiguous();
        let mut records = 0;
        while let [23, 3, 3, a, b, body @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*a, *b]));
            // RFC 8446 section 5.2 and RFC 5246 section 6.2.3.3: tag, nonce or type, at most.
            let full = MAX_PLAINTEXT + 16..MAX_PLAINTEXT + 64;
            assert!(full.contains(&length), "a record has {length} bytes");
            (records, rest) = (records + 1, &body[length..]);
        }
        assert_eq!((records, rest.len()), (4, 0));
    }
}
