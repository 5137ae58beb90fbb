//! Two byte queues between a library that owns its stream and a wire that is lent for one call.

use std::{
    cell::RefCell,
    fmt,
    io::{self, Read, Write},
    rc::Rc,
};

use super::{
    incoming::Incoming,
    session::Wire,
    transport::{Transport, send},
};
use crate::buffer::Buffer;

/// The stream for a TLS library that owns its stream, for implementors of
/// [`TlsAcceptor`](super::TlsAcceptor): it joins the library to the [`Wire`] that is lent for one call.
///
/// Clones share the same two queues of ciphertext. Give one clone to the library and another one to
/// [`PipedSession::new`](super::PipedSession::new), which moves the bytes between the queues and the
/// wire: a library that fails a handshake may drop its clone while the alert is still in the queue.
///
/// Reading returns `WouldBlock` while no input is there, and never the end of the stream. Writing takes
/// all bytes, and flushing does nothing. An idle connection holds no memory for the queues.
#[derive(Clone, Default)]
pub struct Pipe(Rc<RefCell<Queues>>);

#[derive(Default)]
struct Queues {
    /// Ciphertext from the peer, at most one record: it is filled only when it is empty.
    incoming: Incoming,
    end_of_wire: bool,
    received: usize,
    /// Ciphertext to the peer. The session limits its length.
    outgoing: Buffer,
    first_flight: Vec<u8>,
    /// How many bytes of it are still wanted.
    unkept: usize,
}

/// How many of the first bytes are kept: more than a ServerHello with every extension that OpenSSL
/// sends.
const FIRST_FLIGHT: usize = 512;

/// Without the bytes.
impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

impl Read for Pipe {
    /// Never the end of the stream: OpenSSL takes an end without close_notify for an attack and
    /// forgets the session, which may resume all the same (RFC 5246 section 7.2.1). The session itself
    /// reports the end, from `Pipe::receive`.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let queues = &mut *self.0.borrow_mut();
        if queues.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        queues.incoming.read(buf)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let queues = &mut *self.0.borrow_mut();
        let kept = buf.len().min(queues.unkept);
        queues.first_flight.extend_from_slice(&buf[..kept]);
        queues.unkept -= kept;
        queues.outgoing.extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    /// For libraries that do not tell what they have negotiated.
    #[cfg_attr(
        not(feature = "native-tls"),
        expect(dead_code, reason = "other libraries tell all")
    )]
    pub(super) fn keeping_first_flight() -> Self {
        let pipe = Self::default();
        pipe.0.borrow_mut().unkept = FIRST_FLIGHT;
        pipe
    }

    /// Passes the first bytes that were sent, which contain the ServerHello, to `look`.
    #[cfg_attr(
        not(feature = "native-tls"),
        expect(dead_code, reason = "other libraries tell all")
    )]
    pub(super) fn with_first_flight<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.borrow().first_flight)
    }
}

impl Transport for Pipe {
    fn call<T>(&self, _wire: &mut dyn Wire, call: impl FnOnce() -> T) -> T {
        call()
    }

    fn pending(&self) -> usize {
        self.0.borrow().outgoing.len()
    }

    fn send(&self, wire: &mut dyn Wire) -> io::Result<()> {
        send(&mut self.0.borrow_mut().outgoing, wire)
    }

    fn take_received(&self) -> usize {
        std::mem::take(&mut self.0.borrow_mut().received)
    }

    fn receive(&self, wire: &mut dyn Wire) -> io::Result<()> {
        let queues = &mut *self.0.borrow_mut();
        if !queues.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let received = match queues.end_of_wire {
            true => 0,
            false => queues.incoming.fill(wire)?,
        };
        queues.end_of_wire = received == 0;
        queues.received += received;
        match queues.end_of_wire {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(()),
        }
    }
}
