use std::io::{self, ErrorKind, IoSlice, Read, Write};

use bytes::BufMut;
use corelane::tls::{Negotiated, TlsSession, Wire};

/// A session whose every call is checked for what holds in any state.
pub(super) struct Watched(pub(super) Box<dyn TlsSession>);

/// Notes whether the wire blocked.
struct Spy<'a> {
    wire: &'a mut dyn Wire,
    blocked: bool,
}

impl<'a> Spy<'a> {
    fn new(wire: &'a mut dyn Wire) -> Self {
        Self {
            wire,
            blocked: false,
        }
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.blocked |= is_block(&result);
        result
    }

    /// The task is woken when the wire is ready, and by nothing else.
    fn check<T>(&self, call: &str, result: &io::Result<T>) {
        assert!(
            !is_block(result) || self.blocked,
            "{call} returns WouldBlock although the wire does not block: no one wakes the task"
        );
    }
}

fn is_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

impl Read for Spy<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.wire.read(buf);
        self.note(result)
    }
}

impl Write for Spy<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = self.wire.write(buf);
        self.note(result)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let result = self.wire.write_vectored(bufs);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.wire.flush();
        self.note(result)
    }
}

impl TlsSession for Watched {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        let mut spy = Spy::new(wire);
        let result = self.0.handshake(&mut spy);
        spy.check("handshake", &result);
        result
    }

    fn negotiated(&self) -> Negotiated {
        self.0.negotiated()
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        let mut spy = Spy::new(wire);
        let room = buf.remaining_mut();
        let result = self.0.read(&mut spy, buf);
        spy.check("read", &result);
        let appended = room - buf.remaining_mut();
        let returned = *result.as_ref().unwrap_or(&0);
        assert_eq!(
            returned, appended,
            "read returns {returned} and appends {appended} bytes"
        );
        result
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut spy = Spy::new(wire);
        let result = self.0.write(&mut spy, bufs);
        spy.check("write", &result);
        let given: usize = bufs.iter().map(|buf| buf.len()).sum();
        let taken = *result.as_ref().unwrap_or(&0);
        assert!(taken <= given, "write took {taken} of {given} bytes");
        result
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        let mut spy = Spy::new(wire);
        let result = self.0.flush(&mut spy);
        spy.check("flush", &result);
        assert!(
            result.is_err() || !self.0.wants_flush(),
            "flush returns Ok, and wants_flush still says that bytes wait"
        );
        result
    }

    fn wants_flush(&self) -> bool {
        self.0.wants_flush()
    }

    fn send_close_notify(&mut self) {
        self.0.send_close_notify();
    }
}
