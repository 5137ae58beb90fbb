//! The backend without TLS: HTTP/2 with prior knowledge over plain TCP (RFC 9113 section 3.3).

use std::io::{self, IoSlice};

use bytes::BufMut;

use super::session::{Client, Start, TlsAcceptor, TlsSession, Wire, read_through};
use crate::{error::Error, negotiated::Negotiated};

/// Serves plain TCP, behind a proxy that terminates TLS or in tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cleartext;

impl TlsAcceptor for Cleartext {
    fn backend(&self) -> &'static str {
        "none"
    }

    fn expects_client_hello(&self) -> bool {
        false
    }

    fn start(&self, _client: &Client<'_>) -> Result<Start, Error> {
        Ok(CleartextSession { closed: false }.into())
    }
}

struct CleartextSession {
    closed: bool,
}

impl TlsSession for CleartextSession {
    fn handshake(&mut self, _wire: &mut dyn Wire) -> io::Result<()> {
        Ok(())
    }

    fn negotiated(&self) -> Negotiated {
        Negotiated::default()
    }

    /// Without TLS a close and a truncation look the same: every end of the stream is a close.
    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        read_through(buf, |slice| wire.read(slice))
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        wire.write_vectored(bufs)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        wire.flush()
    }

    fn wants_flush(&self) -> bool {
        false
    }

    fn send_close_notify(&mut self) {
        self.closed = true;
    }
}
