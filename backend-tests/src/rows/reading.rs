//! How a session uses the buffer of `read`.

use std::io::ErrorKind;

use bytes::BufMut;

use crate::{
    backend::Backend,
    session::{Pair, kind, pattern},
};

pub(super) fn read_appends_within_its_room(backend: &Backend) {
    for peer in backend.peers() {
        let mut pair = Pair::open(backend.acceptor(), peer);
        let sent = pattern(40_000);
        pair.client.send(&sent, &mut pair.wire);
        let mut received = Vec::new();
        // No more than its room, at every size, also if a record has more.
        for room in [1, 1, 2, 100, 16_383, 16_384, 16_385, 64 * 1024] {
            if received.len() == sent.len() {
                break;
            }
            let before = received.clone();
            let n = pair
                .session
                .read(&mut pair.wire, &mut (&mut received).limit(room));
            let n = n.expect("there is more");
            assert!((1..=room).contains(&n), "{n} bytes for a room of {room}");
            assert!(received.starts_with(&before), "earlier bytes changed");
        }
        let rest = sent.len() - received.len();
        received.extend(pair.read_all(rest));
        assert!(received == sent, "other bytes were read than sent");
        assert_eq!(kind(pair.read()), ErrorKind::WouldBlock);
    }
}

/// A buffer of two parts, as `Buf` and `BufMut` allow.
pub(super) fn read_fills_buffers_of_several_parts(backend: &Backend) {
    for peer in backend.peers() {
        let mut pair = Pair::open(backend.acceptor(), peer);
        let sent = pattern(1000);
        pair.client.send(&sent, &mut pair.wire);
        let (mut first, mut second) = ([0; 7], [0; 2000]);
        let mut received = 0;
        while received < sent.len() {
            let (head, tail) = (
                &mut first[received.min(7)..],
                &mut second[received.saturating_sub(7)..],
            );
            let n = pair.session.read(&mut pair.wire, &mut head.chain_mut(tail));
            received += n.expect("there is more");
        }
        assert!([&first[..], &second].concat().starts_with(&sent));
    }
}
