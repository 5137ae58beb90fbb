//! The session of a library that owns its stream, on a pipe to the wire that the caller lends.

use std::{
    fmt,
    io::{self, IoSlice},
};

use bytes::BufMut;

use super::{
    pipe::Pipe,
    piped_stream::PipedStream,
    session::{MAX_PLAINTEXT, MAX_SEALED, TlsSession, Wire},
    transport::Transport,
};
use crate::{buffer::Buffer, negotiated::Negotiated, scratch::MAX_RECORD};

/// The number of waiting sealed bytes above which the library gets no more input, which it might
/// answer. It is more than responses fill, so that the session still reads from a peer that reads
/// nothing.
const MAX_PENDING: usize = 2 * MAX_SEALED;

/// The input without any plaintext after which the session fails, bytes: three records, two of which
/// may hold one record of plaintext. OpenSSL itself has no limit on KeyUpdates (RFC 8446 section 4.6.3),
/// which are expensive.
const MAX_WITHOUT_PLAINTEXT: usize = 3 * (MAX_PLAINTEXT + 256);

/// A [`TlsSession`] of a library that owns its stream. For implementors of
/// [`TlsAcceptor`](super::TlsAcceptor).
///
/// It keeps the contract of [`TlsSession`] on top of what the library does with the [`Pipe`]: it keeps
/// sealed bytes that the wire did not take, bounds them, makes full records of several slices, and
/// reports a truncation and a failure as the contract says. What is left to the library's part is in
/// [`PipedStream`]. `backends/boring/` in the repository is a whole backend made this way.
///
/// ```
/// use std::io;
///
/// use corelane::{
///     bytes::BufMut,
///     tls::{Negotiated, Pipe, PipedSession, PipedStream, TlsSession, read_through},
/// };
/// # struct Library(Pipe);
/// # impl Library {
/// #     fn accept(&mut self) -> io::Result<()> { Ok(()) }
/// #     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> { io::Read::read(&mut self.0, buf) }
/// #     fn write(&mut self, buf: &[u8]) -> io::Result<usize> { io::Write::write(&mut self.0, buf) }
/// #     fn shutdown(&mut self) {}
/// # }
///
/// struct Stream(Library);
///
/// impl PipedStream for Stream {
///     fn handshake(&mut self) -> io::Result<()> {
///         self.0.accept()
///     }
///
///     fn negotiated(&self) -> Negotiated {
///         Negotiated::default()
///     }
///
///     fn read(&mut self, buf: &mut dyn BufMut) -> io::Result<usize> {
///         read_through(buf, |slice| self.0.read(slice))
///     }
///
///     fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
///         self.0.write(buf)
///     }
///
///     fn send_close_notify(&mut self) {
///         self.0.shutdown();
///     }
/// }
///
/// fn session() -> Box<dyn TlsSession> {
///     let pipe = Pipe::default();
///     let stream = Stream(Library(pipe.clone()));
///     Box::new(PipedSession::new(stream, pipe))
/// }
/// # let _ = session();
/// ```
pub struct PipedSession<S: PipedStream, T: Transport = Pipe> {
    state: State<S>,
    transport: T,
    /// The input since the last plaintext, bytes.
    without_plaintext: usize,
    /// Plaintext that was taken and is not sealed yet, at most one record. It gathers several slices,
    /// because the library makes one record per call.
    unsealed: Buffer,
    closing: bool,
    /// Blocks that nothing writes to, from the end of the handshake until the first read, which is HTTP/2's
    /// own or that of the handler. [`Transport::HANDSHAKE_BUFFERS`] says why.
    untouched: Vec<Vec<u8>>,
}

enum State<S> {
    Handshaking(S),
    Open(S),
    Failed,
}

impl<S: PipedStream, T: Transport> fmt::Debug for PipedSession<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipedSession").finish_non_exhaustive()
    }
}

fn invalid(error: impl Into<crate::error::BoxError>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn has_failed() -> io::Error {
    invalid("the TLS session has failed")
}

impl<S: PipedStream, T: Transport> PipedSession<S, T> {
    /// The session of `stream`, which has another clone of `pipe`.
    pub fn new(stream: S, pipe: T) -> Self {
        Self {
            state: State::Handshaking(stream),
            transport: pipe,
            without_plaintext: 0,
            unsealed: Buffer::default(),
            closing: false,
            untouched: Vec::new(),
        }
    }

    fn open(&mut self) -> io::Result<&mut S> {
        match &mut self.state {
            State::Open(stream) => Ok(stream),
            _ => Err(has_failed()),
        }
    }

    /// Sends sealed bytes if there are too many to give the library more input.
    fn make_room(&self, wire: &mut dyn Wire) -> io::Result<()> {
        match self.transport.pending() >= MAX_PENDING {
            true => self.transport.send(wire),
            false => Ok(()),
        }
    }

    /// Calls the library, and again while it asks for input that the wire has.
    fn drive<R>(
        &mut self,
        wire: &mut dyn Wire,
        mut call: impl FnMut(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.make_room(wire)?;
            let State::Open(stream) = &mut self.state else {
                return Err(has_failed());
            };
            match self.transport.call(wire, || call(stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let received = self.transport.receive(wire);
                    self.without_plaintext += self.transport.take_received();
                    // First: a peer that sends little at a time makes every call block.
                    if self.without_plaintext > MAX_WITHOUT_PLAINTEXT {
                        return Err(self.fail("the peer sends records without data"));
                    }
                    received?;
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
        if self.transport.pending() >= MAX_SEALED {
            self.transport.send(wire)?;
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
impl<S: PipedStream, T: Transport> Drop for PipedSession<S, T> {
    fn drop(&mut self) {
        if !self.closing {
            self.send_close_notify();
        }
    }
}

impl<S: PipedStream, T: Transport> TlsSession for PipedSession<S, T> {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        loop {
            if let State::Handshaking(_) = self.state {
                // The peer may wait for it.
                self.transport.send(wire)?;
            }
            let mut stream = match std::mem::replace(&mut self.state, State::Failed) {
                State::Handshaking(stream) => stream,
                State::Open(stream) => {
                    self.state = State::Open(stream);
                    return Ok(());
                }
                State::Failed => return Err(has_failed()),
            };
            match self.transport.call(wire, || stream.handshake()) {
                Ok(()) => {
                    self.transport.take_received();
                    self.state = State::Open(stream);
                    let held = (0..T::HANDSHAKE_BUFFERS).map(|_| Vec::with_capacity(MAX_RECORD));
                    self.untouched = held.collect();
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.state = State::Handshaking(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                Err(error) => return Err(invalid(error)),
            }
            self.transport.send(wire)?;
            self.transport.receive(wire)?;
        }
    }

    fn negotiated(&self) -> Negotiated {
        match &self.state {
            State::Open(stream) => stream.negotiated(),
            _ => Negotiated::default(),
        }
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        self.untouched = Vec::new();
        if !self.open()?.has_pending() {
            self.make_room(wire)?;
            self.transport.fetch(wire)?;
        }
        let read = self.drive(wire, |stream| stream.read(buf))?;
        self.transport.take_received();
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
                if self.transport.pending() >= MAX_SEALED {
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
        self.transport.send(wire)
    }

    fn wants_flush(&self) -> bool {
        self.transport.pending() > 0 || !self.unsealed.is_empty()
    }

    fn send_close_notify(&mut self) {
        // The second call of OpenSSL and BoringSSL reads, and drops what it has read.
        if let State::Open(stream) = &mut self.state
            && !std::mem::replace(&mut self.closing, true)
        {
            stream.send_close_notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It must not be called after its close_notify: libraries drop what they read then.
    struct Once {
        closed: bool,
    }

    impl PipedStream for Once {
        fn handshake(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn negotiated(&self) -> Negotiated {
            Negotiated::default()
        }

        fn read(&mut self, _buf: &mut dyn BufMut) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            assert!(!self.closed);
            Ok(buf.len())
        }

        fn send_close_notify(&mut self) {
            assert!(!std::mem::replace(&mut self.closed, true));
        }
    }

    #[test]
    fn close_notify_is_sent_once() {
        let mut wire = io::Cursor::new(Vec::new());
        let stream = Once { closed: false };
        let mut session = PipedSession::new(stream, Pipe::default());
        // Before the handshake there is nothing to close.
        session.send_close_notify();
        session.handshake(&mut wire).expect("at once");
        assert!(session.write(&mut wire, &[IoSlice::new(b"x")]).is_ok());
        for _ in 0..2 {
            session.send_close_notify();
            let written = session.write(&mut wire, &[IoSlice::new(b"x")]);
            assert_eq!(
                written.expect_err("closed").kind(),
                io::ErrorKind::BrokenPipe
            );
        }
    }
}
