#![no_main]

use corelane::{
    fuzzing::{ENGINES, Step, connection, pieces},
    tls::Cleartext,
};
use corelane_fuzz::sizes_and_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (sizes, bytes) = sizes_and_bytes(input);
    let sent = pieces(bytes, &sizes).into_iter();
    let steps: Vec<_> = sent.map(|piece| Step::Sends(piece.to_vec())).collect();
    for engine in ENGINES {
        connection(&Cleartext, *engine, &steps);
    }
});
