//! Tests how often a session reads from the wire: each read is a system call.

use std::io::{self, Cursor, ErrorKind, Read, Write};

use corelane::tls::{MAX_PLAINTEXT, TlsVersion};
use corelane_backend_tests::session::{Pair, Peer, kind, pattern};
use corelane_test_support::{Backend, for_each_tls_backend};

for_each_tls_backend!(large_records_take_one_read_each);

/// Has all input at once, and counts the reads.
struct Counting {
    incoming: Cursor<Vec<u8>>,
    reads: usize,
}

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        match self.incoming.read(buf)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Counting {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn large_records_take_one_read_each(backend: Backend) {
    const RECORDS: usize = 50;
    let newest = backend.tls_1_3.then_some(TlsVersion::TLS_1_3);
    for version in [Some(TlsVersion::TLS_1_2), newest].into_iter().flatten() {
        let mut pair = Pair::open(&*backend.acceptor(), Peer::Tls(version));
        let sent = pattern(RECORDS * MAX_PLAINTEXT);
        pair.client.send(&sent, &mut pair.wire);
        let mut wire = Counting {
            incoming: Cursor::new(pair.wire.incoming.drain(..).collect()),
            reads: 0,
        };
        let mut received = Vec::with_capacity(sent.len());
        while received.len() < sent.len() {
            let read = pair.session.read(&mut wire, &mut received);
            read.expect("all of it has arrived");
        }
        assert!(received == sent);
        assert!(wire.reads <= RECORDS, "{} reads", wire.reads);
        let blocked = pair.session.read(&mut wire, &mut received);
        assert_eq!(kind(blocked), ErrorKind::WouldBlock);
        assert!(wire.reads <= RECORDS + 1, "{} reads", wire.reads);
    }
}
