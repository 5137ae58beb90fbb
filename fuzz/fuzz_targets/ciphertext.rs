#![no_main]

use corelane::fuzzing::pieces;
use corelane_fuzz::{Acceptor, ciphertext, sizes_and_bytes};
use corelane_test_support::backends::{NATIVE_TLS, RUSTLS};
use libfuzzer_sys::fuzz_target;

static BY_RUSTLS: Acceptor = Acceptor::new(|| RUSTLS.acceptor());
static BY_NATIVE_TLS: Acceptor = Acceptor::new(|| NATIVE_TLS.acceptor());

fuzz_target!(|input: &[u8]| {
    let (sizes, bytes) = sizes_and_bytes(input);
    for acceptor in [&BY_RUSTLS, &BY_NATIVE_TLS] {
        ciphertext(&***acceptor, &pieces(bytes, &sizes));
    }
});
