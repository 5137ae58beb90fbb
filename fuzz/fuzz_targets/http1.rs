//! The bytes of a client of HTTP/1.1, in the pieces and between the events that the first bytes name.

#![no_main]

use std::{alloc::System, time::Duration};

use cap::Cap;
use corelane::fuzzing::{Step, http1, http1_in_pieces, pieces};
use corelane_fuzz::sizes_and_bytes;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What a connection may add to the memory in use, bytes: what `docs/limits.md` says of one without TLS,
/// 0.4 MiB, and what it sends, which is kept to be read: 0.3 MiB at most, in three places.
const MAX_HELD: usize = 3 << 19;

/// Longer than the time for a head, and shorter than the one for a body.
const TIME: Duration = Duration::from_secs(11);

fuzz_target!(|input: &[u8]| {
    let Some((&events, rest)) = input.split_first() else {
        return;
    };
    let (sizes, bytes) = sizes_and_bytes(rest);
    let before = ALLOCATOR.allocated();
    ALLOCATOR
        .set_limit(before + MAX_HELD)
        .expect("more than is in use");
    if events == 0 {
        http1_in_pieces(bytes, &sizes);
    } else {
        let mut steps = Vec::new();
        for (i, piece) in pieces(bytes, &sizes).into_iter().enumerate() {
            steps.push(Step::Sends(piece.to_vec()));
            // A bit for each of the first events, and a kind for all.
            if i < 5 && events & 1 << i != 0 {
                steps.push(match events >> 5 {
                    0 | 1 => Step::Takes(usize::from(events) * 64),
                    2 => Step::Takes(0),
                    3 => Step::Takes(usize::MAX),
                    4 | 5 => Step::Advance(TIME),
                    _ => Step::Shutdown,
                });
            }
        }
        http1(&steps);
    }
    ALLOCATOR.set_limit(usize::MAX).expect("no limit");
});
