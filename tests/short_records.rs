//! Tests a client that asks for records of 512 bytes (RFC 6066 section 4): OpenSSL, which has an option for
//! it. rustls, the client of the kit for backends, has none.

use std::{
    cell::RefCell,
    io::{self, ErrorKind, IoSlice, Read, Write},
    rc::Rc,
};

use corelane_backend_tests::session::{Wire, pattern, start};
use corelane_test_support::{Backend, for_each_tls_backend};
use foreign_types::ForeignTypeRef;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};

for_each_tls_backend!(short_records_precede_close_notify);

unsafe extern "C" {
    fn SSL_set_tlsext_max_fragment_length(ssl: *mut openssl_sys::SSL, mode: u8) -> i32;
}

fn client() -> Ssl {
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("a context");
    context.set_verify(SslVerifyMode::NONE);
    context.set_alpn_protos(b"\x02h2").expect("a list");
    let ssl = Ssl::new(&context.build()).expect("a client");
    // 1 stands for 512 bytes. SAFETY: the pointer belongs to a live object that nothing else uses.
    let set = unsafe { SSL_set_tlsext_max_fragment_length(ssl.as_ptr(), 1) };
    assert_eq!(set, 1);
    ssl
}

/// The client's end of the wire.
struct End(Rc<RefCell<Wire>>);

impl Read for End {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.borrow_mut().outgoing.read(buf)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for End {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().incoming.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn short_records_precede_close_notify(backend: Backend) {
    let wire = Rc::new(RefCell::new(Wire::default()));
    let mut client = SslStream::new(client(), End(Rc::clone(&wire))).expect("a client");
    client.connect().expect_err("the server is silent");
    let flight: Vec<_> = wire.borrow().incoming.iter().copied().collect();
    let mut session = start(&*backend.acceptor(), &flight).expect("a session");
    let mut turns = 0;
    loop {
        let connected = client.connect().is_ok();
        let wire = &mut *wire.borrow_mut();
        let accepted = session.handshake(wire).is_ok();
        session.flush(wire).expect("taken");
        if connected && accepted {
            break;
        }
        turns += 1;
        assert!(turns < 10, "no handshake");
    }
    let plaintext = pattern(70_000);
    wire.borrow_mut().room = 0;
    let taken = session.write(&mut *wire.borrow_mut(), &[IoSlice::new(&plaintext)]);
    session.send_close_notify();
    wire.borrow_mut().room = usize::MAX;
    session.flush(&mut *wire.borrow_mut()).expect("taken");
    let mut received = Vec::new();
    client.read_to_end(&mut received).expect("a close_notify");
    assert!(received == plaintext[..taken.expect("room for some")]);
}
