//! A session of rustls on a socket that does not block.

use std::{
    cell::RefCell,
    io::{self, BufRead, ErrorKind, IoSlice, Read, Write},
    mem,
    net::TcpStream,
    sync::Arc,
};

use rustls::ServerConnection;

/// Bytes that are read from the socket at once: a record.
const READ: usize = 16 * 1024 + 256;

/// Plaintext that is encrypted for one write to the socket, bytes.
const AT_ONCE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

pub struct Session {
    socket: Arc<TcpStream>,
    tls: ServerConnection,
    /// Whether the socket may hold more: the last read filled its buffer.
    has_more: bool,
    ended: bool,
    /// What was read from the socket and not yet decrypted.
    unread: Vec<u8>,
    /// Plaintext since the last flush.
    queued: usize,
    blocked: bool,
}

impl Session {
    pub fn new(socket: Arc<TcpStream>, mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(None);
        Self {
            socket,
            tls,
            has_more: false,
            ended: false,
            unread: Vec::new(),
            queued: 0,
            blocked: false,
        }
    }

    /// Whether the socket is full.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// To be called before the reads of a turn.
    pub fn begin_turn(&mut self) {
        self.has_more = true;
    }

    /// Whether there is plaintext, or the end: [`Self::plaintext`] is then empty. `None` if nothing has arrived.
    pub fn fill(&mut self) -> io::Result<Option<()>> {
        loop {
            match self.tls.reader().fill_buf() {
                Ok(_) => return Ok(Some(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if self.unread.is_empty() {
                if self.ended {
                    return Ok(Some(()));
                }
                if !self.has_more {
                    return Ok(None);
                }
            }
            self.receive()?;
        }
    }

    pub fn plaintext(&mut self) -> &[u8] {
        self.tls.reader().into_first_chunk().unwrap_or_default()
    }

    pub fn consume(&mut self, bytes: usize) {
        self.tls.reader().consume(bytes);
    }

    fn receive(&mut self) -> io::Result<()> {
        let unread = mem::take(&mut self.unread);
        match unread.is_empty() {
            true => SCRATCH.with_borrow_mut(|scratch| {
                let n = match (&*self.socket).read(scratch) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.has_more = false;
                        return Ok(());
                    }
                    result => result?,
                };
                self.has_more = n == scratch.len();
                self.ended = n == 0;
                self.decrypt(&scratch[..n])
            })?,
            false => self.decrypt(&unread)?,
        }
        if self.tls.is_handshaking() {
            self.flush()?;
        }
        Ok(())
    }

    fn decrypt(&mut self, mut input: &[u8]) -> io::Result<()> {
        while !input.is_empty() {
            self.tls.read_tls(&mut input)?;
            let state = self.tls.process_new_packets().map_err(io::Error::other)?;
            // rustls takes no more before the plaintext is read.
            if state.plaintext_bytes_to_read() > 0 {
                self.unread = input.into();
                break;
            }
        }
        Ok(())
    }

    /// Encrypts a part of `slices`. `None` if the socket is full.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        if self.queued >= AT_ONCE && !self.flush()? {
            return Ok(None);
        }
        let n = self.tls.writer().write_vectored(slices)?;
        self.queued += n;
        Ok(Some(n))
    }

    /// Whether everything was sent.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut &*self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.blocked = false;
        self.queued = 0;
        Ok(true)
    }
}
