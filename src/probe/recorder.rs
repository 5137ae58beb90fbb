//! A socket that remembers what was received.

use std::{cell::RefCell, io, rc::Rc};

use monoio::{
    BufResult,
    buf::{IoBuf, IoBufMut, IoVecBuf, IoVecBufMut},
    io::{AsyncReadRent, AsyncWriteRent},
    net::TcpStream,
};

/// The most that is remembered, bytes: handshakes are longer only by their certificates, and what
/// is looked for, the ServerHello or an alert in its place, stands at the beginning.
const REMEMBERED: usize = 64 * 1024;

/// What was received, shared with the stream that a TLS library has taken.
#[derive(Clone, Default)]
pub(super) struct Recording(Rc<RefCell<Recorded>>);

#[derive(Default)]
struct Recorded {
    bytes: Vec<u8>,
    ended: bool,
}

impl Recording {
    /// Looks at the first bytes received.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.borrow().bytes)
    }

    /// Whether the server has closed or reset the connection.
    pub(super) fn ended(&self) -> bool {
        self.0.borrow().ended
    }

    fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    fn push(&self, bytes: &[u8]) {
        let kept = &mut self.0.borrow_mut().bytes;
        let room = REMEMBERED.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// The socket.
pub(super) struct Recorder {
    socket: TcpStream,
    recording: Recording,
}

impl Recorder {
    pub(super) fn new(socket: TcpStream) -> (Self, Recording) {
        let recording = Recording::default();
        let recorder = Self {
            socket,
            recording: recording.clone(),
        };
        (recorder, recording)
    }
}

impl AsyncReadRent for Recorder {
    async fn read<T: IoBufMut>(&mut self, mut buf: T) -> BufResult<usize, T> {
        // The caller's buffer cannot be looked into without unsafe code: the bytes are read into
        // one of ours and copied from there.
        let (result, bytes) = self
            .socket
            .read(Vec::with_capacity(buf.bytes_total()))
            .await;
        match result {
            Ok(n) if n > 0 => {
                self.recording.push(&bytes[..n]);
                (&bytes[..n]).read(buf).await
            }
            end => {
                self.recording.end();
                (end, buf)
            }
        }
    }

    /// Not called by the TLS crates.
    async fn readv<T: IoVecBufMut>(&mut self, buf: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buf)
    }
}

impl AsyncWriteRent for Recorder {
    async fn write<T: IoBuf>(&mut self, buf: T) -> BufResult<usize, T> {
        self.socket.write(buf).await
    }

    async fn writev<T: IoVecBuf>(&mut self, buf: T) -> BufResult<usize, T> {
        self.socket.writev(buf).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }
}
