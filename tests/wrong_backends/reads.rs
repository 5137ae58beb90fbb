//! Faults of `read`.

use std::io::{self, ErrorKind};

use bytes::BufMut;
use corelane::tls::Wire;

use crate::{
    common::{Queue, is},
    wrapper::{Fault, Inner},
};

#[derive(Default)]
pub struct TurnsWouldBlockIntoAnError;

impl Fault for TurnsWouldBlockIntoAnError {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let result = session.read(wire, buf);
        match is(&result, ErrorKind::WouldBlock) {
            true => Err(ErrorKind::InvalidData.into()),
            false => result,
        }
    }
}

/// Blocks once before it looks at the wire, so that no one wakes the task.
#[derive(Default)]
pub struct BlocksWithoutTheWire {
    looks: bool,
}

impl Fault for BlocksWithoutTheWire {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        self.looks = !self.looks;
        match self.looks {
            true => session.read(wire, buf),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

#[derive(Default)]
pub struct HidesTheErrorOfTheWire;

impl Fault for HidesTheErrorOfTheWire {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let result = session.read(wire, buf);
        result.map_err(|error| match error.kind() {
            ErrorKind::ConnectionReset => ErrorKind::UnexpectedEof.into(),
            _ => error,
        })
    }
}

#[derive(Default)]
pub struct ReportsTruncationAsCleanClose;

impl Fault for ReportsTruncationAsCleanClose {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let result = session.read(wire, buf);
        match is(&result, ErrorKind::UnexpectedEof) {
            true => Ok(0),
            false => result,
        }
    }
}

/// Waits for more input after it failed once.
#[derive(Default)]
pub struct RecoversAfterFailure {
    failed: bool,
}

impl Fault for RecoversAfterFailure {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        if self.failed {
            return wire.read(&mut [0; 64]).map(|_| 0);
        }
        let result = session.read(wire, buf);
        self.failed |= is(&result, ErrorKind::InvalidData);
        result
    }
}

/// Reads a whole record, and loses what the buffer has no room for.
#[derive(Default)]
pub struct LosesWhatHasNoRoom;

impl Fault for LosesWhatHasNoRoom {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let mut record = Vec::new();
        session.read(wire, &mut (&mut record).limit(64 * 1024))?;
        let n = record.len().min(buf.remaining_mut());
        buf.put_slice(&record[..n]);
        Ok(n)
    }
}

#[derive(Default)]
pub struct LosesAByteOfMany {
    read: usize,
}

impl Fault for LosesAByteOfMany {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        if self.read > 99 << 20 {
            self.read = 0;
            session.read(wire, &mut Vec::new().limit(1))?;
        }
        let n = session.read(wire, buf)?;
        self.read += n;
        Ok(n)
    }
}

#[derive(Default)]
pub struct ReturnsMoreThanItRead;

impl Fault for ReturnsMoreThanItRead {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        session.read(wire, buf).map(|n| n + 1)
    }
}

#[derive(Default)]
pub struct FillsOnlyTheFirstPart;

impl Fault for FillsOnlyTheFirstPart {
    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let mut plaintext = Vec::new();
        session.read(wire, &mut (&mut plaintext).limit(buf.remaining_mut()))?;
        let n = plaintext.len().min(buf.chunk_mut().len());
        buf.put_slice(&plaintext[..n]);
        Ok(n)
    }
}

/// Answers all that arrives, and never fails.
#[derive(Default)]
pub struct AnswersWithoutBound {
    answers: Queue,
}

impl Fault for AnswersWithoutBound {
    fn read(
        &mut self,
        _session: &mut Inner,
        wire: &mut dyn Wire,
        _buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let mut record = [0; 1024];
        loop {
            let n = wire.read(&mut record)?;
            self.answers.0.extend(&record[..n]);
        }
    }

    fn flush(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        session.flush(wire)?;
        wire.write_all(&self.answers.0)?;
        self.answers.0.clear();
        Ok(())
    }
}
