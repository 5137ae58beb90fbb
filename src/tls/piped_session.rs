//! The session of a library that owns its stream, on a pipe to the wire that the caller lends.

use std::io::{self, IoSlice};

use bytes::BufMut;

use super::{
    pipe::Pipe,
    session::{MAX_PLAINTEXT, MAX_SEALED, TlsSession, Wire, read_through},
};
use crate::{buffer::Buffer, negotiated::Negotiated};

/// The library's part: a connection over a [`Pipe`].
///
/// `WouldBlock` means that the library needs input that is not in the pipe. Any other error is final:
/// the session drops the stream, and calls nothing on it anymore. It is the peer's fault, in a client
/// certificate if its kind is `PermissionDenied`.
pub(super) trait PipedStream {
    /// Continues the handshake. Nothing below is called before it is complete.
    fn handshake(&mut self) -> io::Result<()>;

    fn negotiated(&self) -> Negotiated;

    /// `Ok(0)` is the peer's close_notify.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Seals at most one record.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize>;

    fn send_close_notify(&mut self);
}

/// The number of waiting sealed bytes above which the library gets no more input, which it might
/// answer. It is more than responses fill, so that the session still reads from a peer that reads
/// nothing.
const MAX_PENDING: usize = 2 * MAX_SEALED;

/// The input without any plaintext after which the session fails, bytes: three records, two of which
/// may hold one record of plaintext. OpenSSL itself has no limit on KeyUpdates (RFC 8446 section 4.6.3),
/// which are expensive.
const MAX_WITHOUT_PLAINTEXT: usize = 3 * (MAX_PLAINTEXT + 256);

pub(super) struct PipedSession<S: PipedStream> {
    state: State<S>,
    pipe: Pipe,
    /// The input since the last plaintext, bytes.
    without_plaintext: usize,
    /// Plaintext that was taken and is not sealed yet, at most one record. It gathers several slices,
    /// because the library makes one record per call.
    unsealed: Buffer,
    closing: bool,
}

enum State<S> {
    Handshaking(S),
    Open(S),
    Failed,
}

fn invalid(error: impl Into<crate::error::BoxError>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn has_failed() -> io::Error {
    invalid("the TLS session has failed")
}

impl<S: PipedStream> PipedSession<S> {
    /// The stream has the library's end of the pipe.
    pub(super) fn new(stream: S, pipe: Pipe) -> Self {
        Self {
            state: State::Handshaking(stream),
            pipe,
            without_plaintext: 0,
            unsealed: Buffer::default(),
            closing: false,
        }
    }

    fn open(&mut self) -> io::Result<&mut S> {
        match &mut self.state {
            State::Open(stream) => Ok(stream),
            _ => Err(has_failed()),
        }
    }

    /// Calls the library, and again while it asks for input that the wire has.
    fn drive<T>(
        &mut self,
        wire: &mut dyn Wire,
        mut call: impl FnMut(&mut S) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            if self.pipe.pending() >= MAX_PENDING {
                self.pipe.send(wire)?;
            }
            match call(self.open()?) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.without_plaintext += self.pipe.receive(wire)?;
                    if self.without_plaintext > MAX_WITHOUT_PLAINTEXT {
                        return Err(self.fail("the peer sends records without data"));
                    }
                }
                Err(error) => return Err(self.fail(error)),
                Ok(value) => return Ok(value),
            }
        }
    }

    fn fail(&mut self, error: impl Into<crate::error::BoxError>) -> io::Error {
        self.state = State::Failed;
        self.unsealed = Buffer::default();
        invalid(error)
    }

    /// Seals the plaintext that was taken. The library may take a part of it only: a client can ask
    /// for shorter records (RFC 6066 section 4).
    fn seal(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        if self.pipe.pending() >= MAX_SEALED {
            self.pipe.send(wire)?;
        }
        while !self.unsealed.is_empty() {
            let plaintext = std::mem::take(&mut self.unsealed);
            let result = self.drive(wire, |stream| stream.write(plaintext.as_slice()));
            if let State::Open(_) = self.state {
                self.unsealed = plaintext;
            }
            self.unsealed.consume(result?);
        }
        Ok(())
    }

    /// Ends a write of which `taken` bytes were taken: seals the rest as a shorter record. If sealing
    /// has to wait, `flush` continues it, and the write still succeeds.
    fn finish_write(&mut self, taken: usize, wire: &mut dyn Wire) -> io::Result<usize> {
        match self.seal(wire) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Err(error) if taken == 0 => Err(error),
            _ => Ok(taken),
        }
    }
}

/// OpenSSL forgets a session whose connection ends without a close_notify of the server, and the
/// client may have gone before that is sent.
impl<S: PipedStream> Drop for PipedSession<S> {
    fn drop(&mut self) {
        if !self.closing {
            self.send_close_notify();
        }
    }
}

impl<S: PipedStream> TlsSession for PipedSession<S> {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        loop {
            let mut stream = match std::mem::replace(&mut self.state, State::Failed) {
                State::Handshaking(stream) => stream,
                State::Open(stream) => {
                    self.state = State::Open(stream);
                    return Ok(());
                }
                State::Failed => return Err(has_failed()),
            };
            match stream.handshake() {
                Ok(()) => {
                    self.state = State::Open(stream);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.state = State::Handshaking(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                Err(error) => return Err(invalid(error)),
            }
            self.pipe.send(wire)?;
            self.pipe.receive(wire)?;
        }
    }

    fn negotiated(&self) -> Negotiated {
        match &self.state {
            State::Open(stream) => stream.negotiated(),
            _ => Negotiated::default(),
        }
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        let read = read_through(buf, |slice| self.drive(wire, |stream| stream.read(slice)))?;
        self.without_plaintext = 0;
        Ok(read)
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.closing {
            // The library would fail the session, which still has to read.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.open()?;
        self.seal(wire)?;
        let mut taken = 0;
        for buf in bufs {
            let mut rest = &buf[..];
            while !rest.is_empty() {
                if self.pipe.pending() >= MAX_SEALED {
                    return self.finish_write(taken, wire);
                }
                let n = rest.len().min(MAX_PLAINTEXT - self.unsealed.len());
                self.unsealed.extend(&rest[..n]);
                taken += n;
                rest = &rest[n..];
                if self.unsealed.len() == MAX_PLAINTEXT {
                    match self.seal(wire) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            return Ok(taken);
                        }
                        result => result?,
                    }
                }
            }
        }
        self.finish_write(taken, wire)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        if !self.unsealed.is_empty() {
            self.seal(wire)?;
        }
        self.pipe.send(wire)
    }

    fn wants_flush(&self) -> bool {
        self.pipe.pending() > 0 || !self.unsealed.is_empty()
    }

    fn send_close_notify(&mut self) {
        self.closing = true;
        if let State::Open(stream) = &mut self.state {
            stream.send_close_notify();
        }
    }
}
