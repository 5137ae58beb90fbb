#![no_main]

use corelane_fuzz::{Acceptor, session};
use corelane_test_support::backends::NATIVE_TLS;
use libfuzzer_sys::fuzz_target;

static ACCEPTOR: Acceptor = Acceptor::new(|| NATIVE_TLS.acceptor());

fuzz_target!(|input: &[u8]| session(NATIVE_TLS, &**ACCEPTOR, input));
