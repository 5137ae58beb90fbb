//! A socket that records what it receives and limits how much and how long it reads.
//!
//! A time-out around the future of a TLS library is not enough: it is checked only when that future
//! waits, and the future never waits for a server that sends faster than the library reads. Every
//! received byte passes through this socket, so the limits are enforced here.

use std::{cell::RefCell, io, rc::Rc, time::Instant};

use monoio::{
    BufResult,
    buf::{IoBuf, IoBufMut, IoVecBuf, IoVecBufMut},
    io::{AsyncReadRent, AsyncWriteRent},
    net::TcpStream,
};

/// The maximum to record, bytes: the ServerHello, or an alert in its place, comes first, and a
/// handshake is longer than this only by its certificates.
const MAX_RECORDED: usize = 64 * 1024;

/// The maximum to read of one connection, bytes: ten times the longest certificate chains, the
/// tickets and an answer to a GET.
const MAX_READ: usize = 1024 * 1024;

/// How a connection ended, or why the recorder reads no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server closed or reset it.
    Closed,
    /// The deadline has passed.
    TimedOut,
    /// The server sent more than [`MAX_READ`].
    TooMuch,
}

/// What was received, shared with the [`Recorder`] that a TLS library owns.
#[derive(Clone, Default)]
pub(crate) struct Recording(Rc<RefCell<Recorded>>);

#[derive(Default)]
struct Recorded {
    bytes: Vec<u8>,
    /// How much was received, recorded or not.
    total: usize,
    /// The first end that happened.
    end: Option<End>,
}

impl Recording {
    /// Looks at the first bytes received.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.borrow().bytes)
    }

    /// How the connection ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.0.borrow().end
    }

    fn ends(&self, end: End) {
        self.0.borrow_mut().end.get_or_insert(end);
    }

    fn push(&self, bytes: &[u8]) {
        let recorded = &mut *self.0.borrow_mut();
        recorded.total += bytes.len();
        let room = MAX_RECORDED.saturating_sub(recorded.bytes.len());
        let kept = &bytes[..bytes.len().min(room)];
        recorded.bytes.extend_from_slice(kept);
    }

    /// Whether more may be read.
    fn within_limits(&self, deadline: Instant) -> io::Result<()> {
        let (end, error) = if Instant::now() >= deadline {
            (End::TimedOut, io::ErrorKind::TimedOut.into())
        } else if self.0.borrow().total >= MAX_READ {
            let error = format!("received more than {MAX_READ} bytes");
            (End::TooMuch, io::Error::other(error))
        } else {
            return Ok(());
        };
        self.ends(end);
        Err(error)
    }
}

/// The recording socket.
pub(crate) struct Recorder {
    socket: TcpStream,
    deadline: Instant,
    recording: Recording,
}

impl Recorder {
    pub(crate) fn new(socket: TcpStream, deadline: Instant) -> (Self, Recording) {
        let recording = Recording::default();
        let recorder = Self {
            socket,
            deadline,
            recording: recording.clone(),
        };
        (recorder, recording)
    }
}

impl AsyncReadRent for Recorder {
    async fn read<T: IoBufMut>(&mut self, mut buf: T) -> BufResult<usize, T> {
        if let Err(error) = self.recording.within_limits(self.deadline) {
            return (Err(error), buf);
        }
        // Reading the caller's buffer would take unsafe code: the bytes are read into a separate
        // buffer and copied from there.
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
                self.recording.ends(End::Closed);
                (end, buf)
            }
        }
    }

    /// The TLS crates do not call this.
    async fn readv<T: IoVecBufMut>(&mut self, buf: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buf)
    }
}

impl AsyncWriteRent for Recorder {
    async fn write<T: IoBuf>(&mut self, buf: T) -> BufResult<usize, T> {
        let (result, buf) = self.socket.write(buf).await;
        match result {
            // A server that closes early may have sent an alert. TLS libraries would not read it
            // after a write error, so the write reports success: the next read finds the end.
            Err(_) => {
                self.recording.ends(End::Closed);
                (Ok(buf.bytes_init()), buf)
            }
            written => (written, buf),
        }
    }

    /// The TLS crates do not call this.
    async fn writev<T: IoVecBuf>(&mut self, buf: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::TcpListener,
        time::{Duration, Instant},
    };

    use super::*;

    /// Reads until it fails, from a server that sends this many bytes and closes.
    fn read_all(sent: usize, deadline: Instant) -> (usize, Option<End>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let addr = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let _ = socket.write_all(&vec![7; sent]);
        });
        let read = async move {
            let socket = TcpStream::connect_addr(addr).await.expect("a server");
            let (mut recorder, recording) = Recorder::new(socket, deadline);
            let mut read = 0;
            while let (Ok(n @ 1..), _) = recorder.read(vec![0; 16 * 1024]).await {
                read += n;
            }
            assert!(recording.look(<[u8]>::len) <= MAX_RECORDED);
            (read, recording.end())
        };
        let result = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
            .enable_timer()
            .build()
            .expect("a runtime")
            .block_on(read);
        server.join().expect("the server ends");
        result
    }

    #[test]
    fn reads_until_the_end_the_deadline_or_the_limit() {
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(read_all(100_000, later), (100_000, Some(End::Closed)));
        // After the deadline it reads nothing.
        assert_eq!(read_all(1, Instant::now()), (0, Some(End::TimedOut)));
        let (read, end) = read_all(3 * MAX_READ, later);
        assert_eq!(end, Some(End::TooMuch));
        assert!((MAX_READ..MAX_READ + 16 * 1024).contains(&read), "{read}");
    }
}
