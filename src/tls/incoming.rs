//! Ciphertext that was read ahead of the library that is to open it.

use std::io::{self, Read};

use super::session::Wire;
use crate::scratch::Scratch;

/// A library asks for a record's header and then for the rest, or for 4 KiB at a time: each would
/// be a system call.
///
/// Holds memory only while something waits in it.
#[derive(Default)]
pub(super) struct Incoming {
    scratch: Option<Scratch>,
    given: usize,
    filled: usize,
}

impl Incoming {
    pub(super) fn is_empty(&self) -> bool {
        self.given == self.filled
    }

    /// Takes what the wire has, where nothing waits here: as much as one record may be. `0` is the
    /// wire's end.
    pub(super) fn fill(&mut self, wire: &mut dyn Wire) -> io::Result<usize> {
        let mut scratch = Scratch::take();
        let n = wire.read(&mut scratch)?;
        if n > 0 {
            self.scratch = Some(scratch);
            (self.given, self.filled) = (0, n);
        }
        Ok(n)
    }
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(scratch) = &self.scratch else {
            return Ok(0);
        };
        let waiting = &scratch[self.given..self.filled];
        let n = waiting.len().min(buf.len());
        buf[..n].copy_from_slice(&waiting[..n]);
        self.given += n;
        if self.is_empty() {
            *self = Self::default();
        }
        Ok(n)
    }
}
