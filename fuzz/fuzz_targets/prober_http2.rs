#![no_main]

use corelane_fuzz::sizes_and_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (sizes, bytes) = sizes_and_bytes(input);
    corelane_probe::fuzzing::http2(bytes, &sizes);
});
