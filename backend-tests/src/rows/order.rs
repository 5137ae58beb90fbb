//! Calls in any order, over a wire that behaves arbitrarily.

use std::{fmt::Debug, io::ErrorKind};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

use crate::{
    backend::Backend,
    session::{Pair, Step, failure_is_final, pattern, take},
};

fn peaceful() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_u16..40_000).prop_map(Step::Read),
        (1_u16..40_000).prop_map(Step::Write),
        Just(Step::Flush),
        (1_u16..20_000).prop_map(Step::ClientSends),
        Just(Step::ClientTurns),
        (0_u16..50_000).prop_map(Step::Room),
        (1_u16..20_000).prop_map(Step::AtOnce),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => peaceful(),
        2 => Just(Step::Handshake),
        1 => Just(Step::CloseNotify),
        1 => Just(Step::Negotiated),
        1 => Just(Step::ClientCloses),
        1 => Just(Step::ClientUpdatesKeys),
        1 => vec(any::<u8>(), 1..40).prop_map(Step::Garbage),
        1 => Just(Step::Garbage(super::inputs::GARBAGE.to_vec())),
        1 => any::<u16>().prop_map(Step::Flips),
        1 => any::<u16>().prop_map(Step::Loses),
        1 => Just(Step::Ends),
        1 => any::<bool>().prop_map(Step::Breaks),
    ]
}

/// Runs the test on many inputs, and panics with the smallest one on which it fails.
fn for_all<S: Strategy<Value: Debug>>(cases: u32, inputs: S, test: impl Fn(S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&inputs, |input| {
        test(input);
        Ok::<_, TestCaseError>(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}, on the steps {input:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Without and with the handshake before the steps.
pub(super) fn no_call_panics_and_failure_is_final(backend: &Backend) {
    let handshake = [Step::Handshake, Step::ClientTurns].into_iter().cycle();
    let handshake: Vec<_> = handshake.take(6).collect();
    let inputs = (any::<bool>(), vec(any_step(), 1..60));
    for_all(200, inputs, |(open, mut steps)| {
        if open {
            steps.splice(..0, handshake.iter().cloned());
        }
        for peer in backend.peers() {
            failure_is_final(backend.acceptor(), peer, &steps);
        }
    });
}

pub(super) fn plaintext_is_in_order_over_any_wire(backend: &Backend) {
    for_all(60, vec(peaceful(), 1..60), |steps| {
        for peer in backend.peers() {
            let mut pair = Pair::open(backend.acceptor(), peer);
            let (mut sent, mut received, mut written) = (0, Vec::new(), 0);
            for step in &steps {
                let plaintext = match step {
                    Step::Write(n) => &pattern(written + usize::from(*n))[written..],
                    Step::ClientSends(n) => &pattern(sent + usize::from(*n))[sent..],
                    _ => &[],
                };
                match take(&mut pair, step, &mut received, plaintext) {
                    Ok(n) => written += n,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{step:?}"),
                }
                if let Step::ClientSends(n) = step {
                    sent += usize::from(*n);
                }
            }
            (pair.wire.room, pair.wire.at_once) = (usize::MAX, usize::MAX);
            pair.flush();
            let rest = sent - received.len();
            received.extend(pair.read_all(rest));
            assert!(received == pattern(sent), "other bytes were read than sent");
            assert!(
                pair.client.received == pattern(written),
                "the client gets other bytes than were written"
            );
        }
    });
}
