//! What several faults need.

use std::io::{self, ErrorKind, Read, Write};

pub fn is<T>(result: &io::Result<T>, kind: ErrorKind) -> bool {
    matches!(result, Err(error) if error.kind() == kind)
}

/// Bytes that wait for the wire, as many as there are.
#[derive(Default)]
pub struct Queue(pub Vec<u8>);

impl Read for Queue {
    fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Queue {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
