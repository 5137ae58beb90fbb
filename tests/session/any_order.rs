//! Calls in any order over a wire that does anything: nothing panics, nothing is lost.

use std::io::{self, ErrorKind, IoSlice};

use bytes::BufMut;
use proptest::{collection::vec, prelude::*};

use crate::{
    common::{Backend, client::rustls_config},
    pair::{GARBAGE, Pair, pattern, versions},
};

/// What can happen to a session.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Write(usize),
    Flush,
    ClientSends(usize),
    ClientTurns,
    Room(usize),
    AtOnce(usize),
    Handshake,
    CloseNotify,
    Negotiated,
    ClientCloses,
    ClientUpdatesKeys,
    Garbage(Vec<u8>),
    Ends,
    Breaks(bool),
}

fn peaceful() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_usize..40_000).prop_map(Step::Read),
        (1_usize..40_000).prop_map(Step::Write),
        Just(Step::Flush),
        (1_usize..20_000).prop_map(Step::ClientSends),
        Just(Step::ClientTurns),
        (0_usize..50_000).prop_map(Step::Room),
        (1_usize..20_000).prop_map(Step::AtOnce),
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
        1 => Just(Step::Ends),
        1 => any::<bool>().prop_map(Step::Breaks),
    ]
}

/// Takes a step; appends what was read, and answers how much was written.
fn take(pair: &mut Pair, step: &Step, read: &mut Vec<u8>, written: &[u8]) -> io::Result<usize> {
    let Pair {
        session,
        client,
        wire,
    } = pair;
    match step {
        Step::Read(n) => drop(session.read(wire, &mut read.limit(*n))?),
        Step::Write(_) => return session.write(wire, &[IoSlice::new(written)]),
        Step::Flush => session.flush(wire)?,
        Step::Handshake => session.handshake(wire)?,
        Step::CloseNotify => session.send_close_notify(),
        Step::Negotiated => drop(session.negotiated()),
        Step::ClientSends(_) => client.send(written, wire),
        Step::ClientTurns => client.turn(wire),
        Step::ClientCloses => client.close(wire),
        Step::ClientUpdatesKeys => drop(client.tls.as_mut().map(|tls| tls.refresh_traffic_keys())),
        Step::Room(n) => wire.room = *n,
        Step::AtOnce(n) => wire.at_once = *n,
        Step::Garbage(bytes) => wire.incoming.extend(bytes),
        Step::Ends => wire.ended = true,
        Step::Breaks(broken) => wire.broken = *broken,
    }
    Ok(0)
}

/// Without a file of failures beside the test: a failure is to become a test of its own.
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
                    Step::Write(n) => &pattern(written + n)[written..],
                    Step::ClientSends(n) => &pattern(sent + n)[sent..],
                    _ => &[],
                };
                match take(&mut pair, step, &mut received, plaintext) {
                    Ok(n) => written += n,
                    Err(error) => prop_assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                if let Step::ClientSends(n) = step {
                    sent += n;
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

pub fn no_call_panics_and_a_failure_is_final(backend: Backend) {
    let plaintext = pattern(40_000);
    proptest!(cases(150), |(steps in vec(any_step(), 1..60))| {
        for &tls in versions(backend) {
            let config = rustls_config(tls, &[b"h2"]);
            let mut pair = Pair::begun(backend, &*backend.acceptor(), config);
            let (mut received, mut open, mut failed) = (Vec::new(), false, false);
            for step in &steps {
                let plaintext = match step {
                    Step::Write(n) | Step::ClientSends(n) => &plaintext[..*n],
                    _ => &[],
                };
                let result = take(&mut pair, step, &mut received, plaintext);
                let result = result.map_err(|error| error.kind());
                // Before the handshake only it counts, afterwards only the others. What came before
                // the failure may still be read when a write has told of it.
                let counts = match step {
                    Step::Handshake => !open,
                    Step::Read(_) | Step::Write(_) => open,
                    _ => false,
                };
                if counts {
                    let goes_on = matches!(result, Ok(_) | Err(ErrorKind::WouldBlock));
                    prop_assert!(!(failed && goes_on), "{step:?}: {result:?}");
                    let told_by_write = matches!(step, Step::Write(_));
                    failed |= result == Err(ErrorKind::InvalidData) && !told_by_write;
                    open |= result.is_ok();
                }
            }
        }
    });
}
