//! The two byte queues that stand between a library that wants to own a stream and the wire, which
//! is lent for a call.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use super::{incoming::Incoming, session::Wire};
use crate::buffer::Buffer;

/// What the library owns as its stream. Shared, because a failed handshake drops the library's end
/// of it with the alert still inside.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<Queues>>);

#[derive(Default)]
struct Queues {
    /// Ciphertext from the peer, filled only when it is empty: at most one record.
    incoming: Incoming,
    end_of_wire: bool,
    /// The library was told of the end.
    end_was_read: bool,
    /// Ciphertext to the peer. Takes everything; the bound is kept by the session.
    outgoing: Buffer,
    first_flight: Vec<u8>,
}

/// More than a ServerHello with every extension that OpenSSL sends.
const FIRST_FLIGHT: usize = 512;

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let queues = &mut *self.0.borrow_mut();
        if queues.incoming.is_empty() {
            if queues.end_of_wire {
                queues.end_was_read = true;
                return Ok(0);
            }
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
    /// The first bytes that were sent: they hold the ServerHello.
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

    /// Takes from the wire what the library has asked for; the wire's end is remembered.
    pub(super) fn receive(&self, wire: &mut dyn Wire) -> io::Result<()> {
        let queues = &mut *self.0.borrow_mut();
        if queues.end_was_read {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !queues.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = queues.incoming.fill(wire)?;
        queues.end_of_wire = n == 0;
        Ok(())
    }

    pub(super) fn end_was_read(&self) -> bool {
        self.0.borrow().end_was_read
    }
}
