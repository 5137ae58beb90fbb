//! The same frames into the engine and into crate h2, as `http2/tests/differential` does.

#![no_main]

#[path = "../../http2/tests/differential/comparison/mod.rs"]
mod comparison;

use corelane_fuzz::{Frame, Request};
use corelane_test_frames::{PREFACE, settings};
use libfuzzer_sys::{arbitrary::Arbitrary, fuzz_target};

#[derive(Arbitrary, Debug)]
enum Part {
    Request(Request),
    Frame(Frame),
}

fuzz_target!(|parts: Vec<Part>| {
    let mut sent = [PREFACE, &settings(&[])].concat();
    for part in &parts {
        match part {
            Part::Request(request) => request.write(&mut sent),
            Part::Frame(frame) => frame.write(&mut sent),
        }
    }
    if let Err(difference) = comparison::compare(&sent) {
        panic!("{difference}");
    }
});
