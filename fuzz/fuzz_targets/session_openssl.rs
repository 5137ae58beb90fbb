#![no_main]

use corelane_fuzz::{Acceptor, session};
use corelane_test_support::backends::OPENSSL;
use libfuzzer_sys::fuzz_target;

static ACCEPTOR: Acceptor = Acceptor::new(|| OPENSSL.acceptor());

fuzz_target!(|input: &[u8]| session(OPENSSL, &**ACCEPTOR, input));
