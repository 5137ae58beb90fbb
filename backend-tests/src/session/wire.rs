use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
};

/// A misbehaving wire: two byte queues, which a test can make slow, full, ended or broken.
#[derive(Debug)]
pub struct Wire {
    /// The bytes on their way to the session.
    pub incoming: VecDeque<u8>,
    /// The bytes that the session has sent.
    pub outgoing: VecDeque<u8>,
    /// How many more bytes it accepts.
    pub room: usize,
    /// How many bytes one call moves; if limited, every second call blocks.
    pub at_once: usize,
    /// Reads return the end of the stream once `incoming` is empty.
    pub ended: bool,
    /// Every call fails with [`ErrorKind::ConnectionReset`].
    pub broken: bool,
    rests: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            room: usize::MAX,
            at_once: usize::MAX,
            ended: false,
            broken: false,
            rests: false,
        }
    }
}

impl Wire {
    fn moves(&mut self, wanted: usize) -> io::Result<usize> {
        self.rests = !self.rests && self.at_once != usize::MAX;
        if self.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        match wanted.min(self.at_once) {
            n if n > 0 && !self.rests => Ok(n),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended && self.incoming.is_empty() {
            return Ok(0);
        }
        let n = self.moves(buf.len().min(self.incoming.len()))?;
        self.incoming.read(&mut buf[..n])
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.moves(buf.len().min(self.room))?;
        self.room -= n;
        self.outgoing.write(&buf[..n])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
