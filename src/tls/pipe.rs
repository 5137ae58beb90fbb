//! Two byte queues between a library that owns its stream and a wire that is lent for one call.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use super::{incoming::Incoming, session::Wire};
use crate::buffer::Buffer;

/// The stream that the library owns. The session shares it: a failed handshake drops the library's
/// handle while the alert is still in the queue.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<Queues>>);

#[derive(Default)]
struct Queues {
    /// Ciphertext from the peer, at most one record: it is filled only when it is empty.
    incoming: Incoming,
    end_of_wire: bool,
    /// Ciphertext to the peer. The session limits its length.
    outgoing: Buffer,
    first_flight: Vec<u8>,
}

/// How many of the first bytes are kept: more than a ServerHello with every extension that OpenSSL
/// sends.
const FIRST_FLIGHT: usize = 512;

impl Read for Pipe {
    /// Never the end of the stream: OpenSSL takes an end without close_notify for an attack and
    /// forgets the session, which may resume all the same (RFC 5246 section 7.2.1). The session itself
    /// reports the end, from [`Pipe::receive`].
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
        let wanted = FIRST_FLIGHT - queues.first_flight.len();
        queues
            .first_flight
            .extend_from_slice(&buf[..buf.len().min(wanted)]);
        queues.outgoing.extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    /// Passes the first bytes that were sent, which contain the ServerHello, to `look`.
    pub(super) fn with_first_flight<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.borrow().first_flight)
    }

    pub(super) fn pending(&self) -> usize {
        self.0.borrow().outgoing.len()
    }

    pub(super) fn send(&self, wire: &mut dyn Wire) -> io::Result<()> {
        let queues = &mut *self.0.borrow_mut();
        while !queues.outgoing.is_empty() {
            match wire.write(queues.outgoing.as_slice())? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => queues.outgoing.consume(n),
            }
        }
        Ok(())
    }

    /// Reads the input that the library has asked for. The end of the wire is `UnexpectedEof`.
    pub(super) fn receive(&self, wire: &mut dyn Wire) -> io::Result<()> {
        let queues = &mut *self.0.borrow_mut();
        if !queues.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !queues.end_of_wire {
            queues.end_of_wire = queues.incoming.fill(wire)? == 0;
        }
        match queues.end_of_wire {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(()),
        }
    }
}
