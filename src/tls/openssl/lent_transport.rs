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
        incoming::Incoming,
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
    /// Input that OpenSSL has not asked for yet.
    incoming: Incoming,
    /// The last read from the wire found none.
    waited: bool,
    /// The first read after that brought more than `SMALL` bytes: more of it may follow.
    large: bool,
    end_of_wire: bool,
    /// Why the last read of this call had no input.
    failed: Option<io::Error>,
    /// Ciphertext to the peer. The session limits its length. It gathers records for one system call:
    /// that takes less time than the copy.
    outgoing: Buffer,
}

/// Input up to this length, bytes, passes through memory that the thread lends: to ask OpenSSL for
/// plaintext that has not arrived takes more time than the copy.
const SMALL: usize = 4096;

impl Queues {
    fn read(&mut self, wire: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
        if self.room == 0 || self.failed.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !self.incoming.is_empty() {
            let n = self.incoming.read(buf)?;
            self.room = self.room.saturating_sub(n);
            return Ok(n);
        }
        if self.end_of_wire {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = wire.read(buf);
        self.note(&read);
        match read {
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

    /// Remembers the result of a read from the wire.
    fn note(&mut self, read: &io::Result<usize>) {
        if let (true, Ok(n)) = (self.waited, read) {
            self.large = *n > SMALL;
        }
        self.waited = read.is_err();
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
    /// For records in both directions, and for messages.
    const HANDSHAKE_BUFFERS: usize = 3;

    fn call<T>(&self, wire: &mut dyn Wire, call: impl FnOnce() -> T) -> T {
        {
            let queues = &mut *self.queues.borrow_mut();
            queues.room = MAX_RECORD;
            queues.failed = None;
        }
        self.wire.lend(wire, call)
    }

    fn fetch(&self, wire: &mut dyn Wire) -> io::Result<()> {
        let queues = &mut *self.queues.borrow_mut();
        if queues.large || queues.end_of_wire || !queues.incoming.is_empty() {
            return Ok(());
        }
        let read = queues.incoming.fill(wire);
        queues.note(&read);
        let n = read?;
        queues.received += n;
        queues.end_of_wire = n == 0;
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// What a call of the library reads while `wire` is lent.
    fn read(transport: &LentTransport, wire: &mut dyn Wire) -> io::Result<usize> {
        let mut library = transport.clone();
        transport.call(wire, || library.read(&mut [0; MAX_RECORD]))
    }

    /// A wire that has this input, and then none.
    struct Input(Cursor<Vec<u8>>);

    fn input(len: usize) -> Input {
        Input(Cursor::new(vec![0; len]))
    }

    impl Read for Input {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buf)? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                n => Ok(n),
            }
        }
    }

    impl Write for Input {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn would_block<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn little_input_is_fetched_before_the_library_asks() {
        let transport = LentTransport::default();
        assert!(would_block(transport.fetch(&mut input(0))));
        let mut wire = input(100);
        transport.fetch(&mut wire).expect("input");
        // What is fetched goes to the library before anything else is read.
        transport.fetch(&mut input(0)).expect("no read");
        assert_eq!(read(&transport, &mut input(7)).expect("fetched"), 100);
        assert_eq!(transport.take_received(), 100);
        assert!(would_block(transport.fetch(&mut wire)));
    }

    #[test]
    fn much_input_goes_to_the_library_directly() {
        let transport = LentTransport::default();
        assert!(would_block(transport.fetch(&mut input(0))));
        let mut wire = input(SMALL + 1);
        transport.fetch(&mut wire).expect("input");
        assert_eq!(read(&transport, &mut wire).expect("fetched"), SMALL + 1);
        // A short read does not change it while there is input, nor does the first wait.
        for len in [1, 0] {
            let mut wire = input(len);
            transport.fetch(&mut wire).expect("no read");
            assert_eq!(read(&transport, &mut wire).ok(), (len > 0).then_some(len));
        }
        // Little input after a wait does.
        assert_eq!(read(&transport, &mut input(1)).expect("input"), 1);
        assert!(would_block(transport.fetch(&mut input(0))));
    }

    #[test]
    fn the_end_of_the_wire_is_final() {
        let transport = LentTransport::default();
        let mut end = Cursor::new(Vec::new());
        transport.fetch(&mut end).expect("the end");
        let mut wire = input(10);
        transport.fetch(&mut wire).expect("no read");
        assert!(would_block(read(&transport, &mut wire)));
        let ended = transport.receive(&mut wire).expect_err("the end");
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }
}
