//! Frames that are well formed more often than not, so that they get past the first check.

#![no_main]

use corelane::{
    fuzzing::{ENGINES, Step, connection},
    tls::Cleartext,
};
use corelane_fuzz::Frame;
use corelane_test_frames::{PREFACE, settings};
use libfuzzer_sys::{arbitrary::Arbitrary, fuzz_target};

#[derive(Arbitrary, Debug)]
enum Move {
    /// A frame that is sent together with the next ones.
    Frame(Frame),
    /// Sends all frames collected so far.
    Sent,
    /// Sends them without the last bytes.
    SentBut(u8),
    Takes(u16),
    TakesAll,
    Shutdown,
}

fuzz_target!(|moves: Vec<Move>| {
    let mut sent = [PREFACE, &settings(&[])].concat();
    let mut steps = Vec::new();
    for next in &moves {
        match next {
            Move::Frame(frame) => frame.write(&mut sent),
            Move::Sent => steps.push(Step::Sends(std::mem::take(&mut sent))),
            Move::SentBut(n) => {
                let kept = sent.split_off(sent.len().saturating_sub(usize::from(*n)));
                steps.push(Step::Sends(std::mem::replace(&mut sent, kept)));
            }
            Move::Takes(room) => steps.push(Step::Takes(usize::from(*room))),
            Move::TakesAll => steps.push(Step::Takes(usize::MAX)),
            Move::Shutdown => steps.push(Step::Shutdown),
        }
    }
    steps.push(Step::Sends(sent));
    for engine in ENGINES {
        connection(&Cleartext, *engine, &steps);
    }
});
