#![no_main]

use corelane_fuzz::{Acceptor, session};
use corelane_test_support::backends::RUSTLS;
use libfuzzer_sys::fuzz_target;

static ACCEPTOR: Acceptor = Acceptor::new(|| RUSTLS.acceptor());

fuzz_target!(|input: &[u8]| session(RUSTLS, &**ACCEPTOR, input));
