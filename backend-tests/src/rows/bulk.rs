//! Much data.

use std::io::{ErrorKind, IoSlice};

use bytes::BufMut;

use crate::{
    backend::Backend,
    session::{Pair, Peer},
};

const TOTAL: usize = 100 * 1024 * 1024;

/// How many bytes the wire holds in each direction.
const CAPACITY: usize = 256 * 1024;

/// The plaintext of one call.
const PIECE: usize = 64 * 1024;

/// A prime number of bytes that repeat: a lost or repeated part shows.
const PERIOD: usize = 65_521;

struct Pattern(Vec<u8>);

impl Pattern {
    fn new() -> Self {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let mut bytes: Vec<_> = (0..PERIOD).map(|_| next()).collect();
        bytes.extend_from_within(..);
        bytes.extend_from_within(..);
        Self(bytes)
    }

    /// At most a piece, at this position of the whole.
    fn at(&self, position: usize) -> &[u8] {
        &self.0[position % PERIOD..][..PIECE.min(TOTAL - position)]
    }

    fn check(&self, position: usize, received: &[u8]) {
        let mut position = position;
        for part in received.chunks(PIECE) {
            let wanted = &self.0[position % PERIOD..][..part.len()];
            assert!(part == wanted, "other bytes arrive behind {position}");
            position += part.len();
        }
        assert!(position <= TOTAL, "more arrives than was sent");
    }
}

pub(super) fn transfer_of_100_mib_each_way(backend: &Backend) {
    let pattern = Pattern::new();
    for version in backend.versions() {
        let mut pair = Pair::open(backend.acceptor(), Peer::Tls(version));
        let (mut up_sent, mut up, mut down_taken, mut down) = (0, 0, 0, 0);
        let mut buf = Vec::with_capacity(2 * PIECE);
        while up < TOTAL || down < TOTAL {
            let before = (up_sent, up, down_taken, down);
            if up_sent < TOTAL && pair.wire.incoming.len() < CAPACITY {
                let piece = pattern.at(up_sent);
                pair.client.send(piece, &mut pair.wire);
                up_sent += piece.len();
            }
            buf.clear();
            match pair
                .session
                .read(&mut pair.wire, &mut (&mut buf).limit(PIECE))
            {
                Ok(n) => {
                    pattern.check(up, &buf);
                    up += n;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error:?}"),
            }
            pair.wire.room = CAPACITY - pair.wire.outgoing.len();
            let result = match down_taken {
                TOTAL => pair.session.flush(&mut pair.wire).map(|()| 0),
                _ => {
                    let piece = [IoSlice::new(pattern.at(down_taken))];
                    pair.session.write(&mut pair.wire, &piece)
                }
            };
            match result {
                Ok(n) => down_taken += n,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error:?}"),
            }
            // The client waits, so that the session's writes block.
            if pair.wire.room == 0 || down_taken == TOTAL {
                pair.client.turn(&mut pair.wire);
                pattern.check(down, &pair.client.received);
                down += pair.client.received.len();
                pair.client.received.clear();
            }
            let after = (up_sent, up, down_taken, down);
            assert!(before != after, "no progress at {after:?}");
        }
        assert_eq!((up, down), (TOTAL, TOTAL));
    }
}
