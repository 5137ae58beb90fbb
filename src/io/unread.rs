//! A session whose first plaintext was read already.

use std::io::{self, IoSlice};

use bytes::BufMut;

use crate::{
    buffer::Buffer,
    negotiated::Negotiated,
    tls::session::{TlsSession, Wire},
};

/// Returns that plaintext first, then the session's. Only connections whose protocol had to be found
/// out have one, so that reads of all others cost nothing more.
pub(super) struct Unread {
    plaintext: Buffer,
    session: Box<dyn TlsSession>,
}

impl Unread {
    pub(super) fn new(bytes: Vec<u8>, session: Box<dyn TlsSession>) -> Self {
        let mut plaintext = Buffer::default();
        plaintext.extend(&bytes);
        Self { plaintext, session }
    }
}

impl TlsSession for Unread {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        self.session.handshake(wire)
    }

    fn negotiated(&self) -> Negotiated {
        self.session.negotiated()
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        if self.plaintext.is_empty() {
            return self.session.read(wire, buf);
        }
        let n = self.plaintext.len().min(buf.remaining_mut());
        buf.put_slice(&self.plaintext.as_slice()[..n]);
        self.plaintext.consume(n);
        Ok(n)
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.write(wire, bufs)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        self.session.flush(wire)
    }

    fn wants_flush(&self) -> bool {
        self.session.wants_flush()
    }

    fn send_close_notify(&mut self) {
        self.session.send_close_notify();
    }
}
