//! However little room the buffers for output have, a client gets the same.

use std::collections::BTreeMap;

use corelane_http2::{Config, Connection};
use corelane_test_frames::{kind, window_update};
use proptest::{collection::vec, prelude::*};

use crate::{
    input::steps,
    support::{Frame, Service},
};

fn server(rooms: Vec<usize>) -> Service {
    let mut service = Service::new(Connection::new(Config::default().max_concurrent_streams(4)));
    service.rooms = rooms;
    service
}

/// All frames but DATA, in their order, and the bodies by stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    frames: Vec<Frame>,
    bodies: BTreeMap<u32, (usize, bool)>,
}

impl Received {
    fn take(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            if frame.kind == kind::DATA {
                let (length, ended) = self.bodies.entry(frame.stream).or_default();
                assert!(!*ended, "DATA behind the end");
                *length += frame.payload.len();
                *ended = frame.ends_stream();
            } else {
                self.frames.push(frame);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The window of the connection is large, so that turns make no difference.
    #[test]
    fn rooms_make_no_difference(
        mut steps in steps(),
        rooms in vec(prop_oneof![10..50usize, 10..2000usize, Just(16_384)], 1..10),
    ) {
        steps[0].extend(window_update(0, 1 << 30));
        let mut large = server(vec![1 << 20]);
        let mut small = server(rooms);
        let (mut from_large, mut from_small) = (Received::default(), Received::default());
        for step in steps {
            for server in [&mut large, &mut small] {
                server.receive(&step);
                server.act();
            }
            prop_assert_eq!(&large.seen, &small.seen);
            from_large.take(large.frames());
            from_small.take(small.frames());
            prop_assert_eq!(&from_large, &from_small);
            prop_assert!(large.output.is_empty() && small.output.is_empty(), "a part of a frame");
        }
    }
}
