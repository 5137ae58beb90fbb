//! Faults of `write`, `flush` and `send_close_notify`.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use corelane::tls::Wire;

use crate::{
    common::Queue,
    wrapper::{Fault, Inner},
};

/// A wire that takes everything, and loses what does not fit.
struct Lossy<'a>(&'a mut dyn Wire);

impl Read for Lossy<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Lossy<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.0.write(buf) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(buf.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
pub struct ForgetsSealedBytes;

impl Fault for ForgetsSealedBytes {
    fn flush(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        session.flush(&mut Lossy(wire))
    }
}

/// Keeps what the wire does not take in a queue of its own, however much it is.
#[derive(Default)]
pub struct HoldsWithoutBound {
    queue: Queue,
}

impl Fault for HoldsWithoutBound {
    fn write(
        &mut self,
        session: &mut Inner,
        _wire: &mut dyn Wire,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        session.flush(&mut self.queue)?;
        session.write(&mut self.queue, bufs)
    }

    fn flush(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        session.flush(&mut self.queue)?;
        while !self.queue.0.is_empty() {
            let sent = wire.write(&self.queue.0)?;
            self.queue.0.drain(..sent);
        }
        Ok(())
    }

    fn wants_flush(&self, session: &Inner) -> bool {
        session.wants_flush() || !self.queue.0.is_empty()
    }
}

#[derive(Default)]
pub struct MakesShortRecords;

impl Fault for MakesShortRecords {
    fn write(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        let first = first.map_or(&[][..], |buf| &buf[..]);
        let n = first.len().min(1000);
        session.write(wire, &[IoSlice::new(&first[..n])])
    }
}

#[derive(Default)]
pub struct PanicsOnWriteAfterClose {
    closing: bool,
}

impl Fault for PanicsOnWriteAfterClose {
    fn write(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        assert!(!self.closing, "a write after close_notify");
        session.write(wire, bufs)
    }

    fn send_close_notify(&mut self, session: &mut Inner) {
        self.closing = true;
        session.send_close_notify();
    }
}

/// Takes plaintext after close_notify, and loses it.
#[derive(Default)]
pub struct WritesAfterCloseNotify {
    closing: bool,
}

impl Fault for WritesAfterCloseNotify {
    fn write(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        match self.closing {
            true => Ok(bufs.iter().map(|buf| buf.len()).sum()),
            false => session.write(wire, bufs),
        }
    }

    fn send_close_notify(&mut self, session: &mut Inner) {
        self.closing = true;
        session.send_close_notify();
    }
}

#[derive(Default)]
pub struct SendsNoCloseNotify;

impl Fault for SendsNoCloseNotify {
    fn send_close_notify(&mut self, _session: &mut Inner) {}
}
