//! Reads ciphertext ahead of the TLS library.

use std::io::{self, Read};

use super::session::Wire;
use crate::scratch::Scratch;

/// A buffer of ciphertext. A TLS library reads the header of a record and then its body, or 4 KiB at
/// a time; without the buffer each read would be a system call.
///
/// It holds memory only while it is not empty.
#[derive(Default)]
pub(super) struct Incoming {
    scratch: Option<Scratch>,
    read: usize,
    filled: usize,
}

impl Incoming {
    pub(super) fn is_empty(&self) -> bool {
        self.read == self.filled
    }

    /// Reads from the wire up to the length of one record. Call it when the buffer is empty. `0` is
    /// the end of the wire.
    pub(super) fn fill(&mut self, wire: &mut dyn Wire) -> io::Result<usize> {
        let mut scratch = Scratch::take();
        let n = wire.read(&mut scratch)?;
        if n > 0 {
            self.scratch = Some(scratch);
            (self.read, self.filled) = (0, n);
        }
        Ok(n)
    }
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(scratch) = &self.scratch else {
            return Ok(0);
        };
        let waiting = &scratch[self.read..self.filled];
        let n = waiting.len().min(buf.len());
        buf[..n].copy_from_slice(&waiting[..n]);
        self.read += n;
        if self.is_empty() {
            *self = Self::default();
        }
        Ok(n)
    }
}
