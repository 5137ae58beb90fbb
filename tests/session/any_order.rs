//! Makes calls in any order over a wire that behaves arbitrarily: nothing panics, and no data is
//! lost.

use std::io::ErrorKind;

use proptest::{collection::vec, prelude::*};

use corelane_test_support::{
    Backend,
    session::{GARBAGE, Pair, Step, failure_is_final, pattern, take, versions},
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
        1 => Just(Step::Garbage(GARBAGE.to_vec())),
        1 => any::<u16>().prop_map(Step::Flips),
        1 => any::<u16>().prop_map(Step::Loses),
        1 => Just(Step::Ends),
        1 => any::<bool>().prop_map(Step::Breaks),
    ]
}

/// Writes no file of failures beside the test: a failure becomes a separate test.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

pub fn plaintext_is_in_order_over_any_wire(backend: Backend) {
    proptest!(cases(60), |(steps in vec(peaceful(), 1..60))| {
        for &tls in versions(backend) {
            let mut pair = Pair::open(backend, tls);
            let (mut sent, mut received, mut written) = (0, Vec::new(), 0);
            for step in &steps {
                let plaintext = match step {
                    Step::Write(n) => &pattern(written + usize::from(*n))[written..],
                    Step::ClientSends(n) => &pattern(sent + usize::from(*n))[sent..],
                    _ => &[],
                };
                match take(&mut pair, step, &mut received, plaintext) {
                    Ok(n) => written += n,
                    Err(error) => prop_assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                if let Step::ClientSends(n) = step {
                    sent += usize::from(*n);
                }
            }
            (pair.wire.room, pair.wire.at_once) = (usize::MAX, usize::MAX);
            pair.flush();
            while received.len() < sent {
                pair.until_done(|session, wire| session.read(wire, &mut received));
            }
            prop_assert!(received == pattern(sent));
            prop_assert!(pair.client.received == pattern(written));
        }
    });
}

pub fn no_call_panics_and_failure_is_final(backend: Backend) {
    let acceptor = backend.acceptor();
    proptest!(cases(150), |(steps in vec(any_step(), 1..60))| {
        for &tls in versions(backend) {
            failure_is_final(backend, &*acceptor, tls, &steps);
        }
    });
}
