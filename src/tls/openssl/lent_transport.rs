//! The stream that OpenSSL owns: it reads from the wire that is lent, and writes to a queue.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use openssl_ticket_keys::Lent;

use crate::{
    alert::AlertDescription,
    buffer::Buffer,
    scratch::MAX_RECORD,
    tls::{
        session::Wire,
        transport::{Transport, replace_alert, send},
    },
};

/// The session and OpenSSL share it.
#[derive(Clone, Default)]
pub(super) struct LentTransport {
    wire: Lent,
    queues: Rc<RefCell<Queues>>,
}

#[derive(Default)]
struct Queues {
    /// How much more input OpenSSL may have in this call, bytes, until the session has counted it.
    room: usize,
    received: usize,
    end_of_wire: bool,
    /// Why the last read of this call had no input.
    failed: Option<io::Error>,
    /// Ciphertext to the peer. The session limits its length. It gathers records for one system call:
    /// that takes less time than the copy.
    outgoing: Buffer,
}

impl Queues {
    fn read(&mut self, wire: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
        if self.room == 0 || self.end_of_wire || self.failed.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match wire.read(buf) {
            // OpenSSL takes an end without close_notify for an attack and forgets the session, which
            // may resume all the same (RFC 5246 section 7.2.1). The session itself reports the end.
            Ok(0) => {
                self.end_of_wire = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
            Ok(n) => {
                self.room = self.room.saturating_sub(n);
                self.received += n;
                Ok(n)
            }
            Err(error) => {
                self.failed = Some(error);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

impl Read for LentTransport {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let queues = &mut *self.queues.borrow_mut();
        self.wire
            .with(|wire| queues.read(wire, buf))
            .unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }
}

impl Write for LentTransport {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.queues.borrow_mut().outgoing.extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LentTransport {
    /// Gives an alert that OpenSSL has just sent in the clear another description.
    pub(super) fn replace_alert(&self, sent: AlertDescription, by: AlertDescription) {
        replace_alert(&mut self.queues.borrow_mut().outgoing, sent, by);
    }
}

impl Transport for LentTransport {
    fn call<T>(&self, wire: &mut dyn Wire, call: impl FnOnce() -> T) -> T {
        {
            let queues = &mut *self.queues.borrow_mut();
            queues.room = MAX_RECORD;
            queues.failed = None;
        }
        self.wire.lend(wire, call)
    }

    fn receive(&self, _wire: &mut dyn Wire) -> io::Result<()> {
        let queues = &mut *self.queues.borrow_mut();
        match queues.failed.take() {
            Some(error) => Err(error),
            None if queues.end_of_wire => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Ok(()),
        }
    }

    fn take_received(&self) -> usize {
        std::mem::take(&mut self.queues.borrow_mut().received)
    }

    fn pending(&self) -> usize {
        self.queues.borrow().outgoing.len()
    }

    fn send(&self, wire: &mut dyn Wire) -> io::Result<()> {
        send(&mut self.queues.borrow_mut().outgoing, wire)
    }
}
