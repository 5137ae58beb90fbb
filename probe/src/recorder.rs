//! A socket that remembers what was received, and that no server keeps busy for ever.
//!
//! A time-out around the future of a TLS library is not enough: it is looked at only when that
//! future waits, and to a server that sends faster than the library reads it never does. All that
//! comes passes here, so here the limits are kept.

use std::{cell::RefCell, io, rc::Rc, time::Instant};

use monoio::{
    BufResult,
    buf::{IoBuf, IoBufMut, IoVecBuf, IoVecBufMut},
    io::{AsyncReadRent, AsyncWriteRent},
    net::TcpStream,
};

/// The most that is remembered, bytes: handshakes are longer only by their certificates, and what
/// is looked for, the ServerHello or an alert in its place, stands at the beginning.
const REMEMBERED: usize = 64 * 1024;

/// The most that is read of one connection, bytes: the longest chains of certificates, the tickets
/// and an answer to a GET are a tenth of it.
const MOST: usize = 1024 * 1024;

/// How a connection ended, or why nothing more is read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server closed or reset it.
    Closed,
    /// The time is over.
    TimedOut,
    /// More came than is read.
    TooMuch,
}

/// What was received, shared with the stream that a TLS library has taken.
#[derive(Clone, Default)]
pub(super) struct Recording(Rc<RefCell<Recorded>>);

#[derive(Default)]
struct Recorded {
    bytes: Vec<u8>,
    /// How much came, remembered or not.
    total: usize,
    /// The first that happened.
    end: Option<End>,
}

impl Recording {
    /// Looks at the first bytes received.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.borrow().bytes)
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<End> {
        self.0.borrow().end
    }

    fn ends(&self, end: End) {
        self.0.borrow_mut().end.get_or_insert(end);
    }

    fn push(&self, bytes: &[u8]) {
        let recorded = &mut *self.0.borrow_mut();
        recorded.total += bytes.len();
        let room = REMEMBERED.saturating_sub(recorded.bytes.len());
        let kept = &bytes[..bytes.len().min(room)];
        recorded.bytes.extend_from_slice(kept);
    }

    /// Whether more may be read.
    fn within_limits(&self, deadline: Instant) -> io::Result<()> {
        let (end, error) = if Instant::now() >= deadline {
            (End::TimedOut, io::ErrorKind::TimedOut.into())
        } else if self.0.borrow().total >= MOST {
            let error = format!("more than {MOST} bytes came");
            (End::TooMuch, io::Error::other(error))
        } else {
            return Ok(());
        };
        self.ends(end);
        Err(error)
    }
}

/// The socket.
pub(super) struct Recorder {
    socket: TcpStream,
    deadline: Instant,
    recording: Recording,
}

impl Recorder {
    pub(super) fn new(socket: TcpStream, deadline: Instant) -> (Self, Recording) {
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
                self.recording.ends(End::Closed);
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
        let (result, buf) = self.socket.write(buf).await;
        match result {
            // Who closes early may have said why. TLS libraries would not read it after an error:
            // let them believe that all went well, they come to the end soon enough.
            Err(_) => {
                self.recording.ends(End::Closed);
                (Ok(buf.bytes_init()), buf)
            }
            written => (written, buf),
        }
    }

    /// Nor this.
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

    /// What comes of reads until one fails, from a server that sends this and closes.
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
            assert!(recording.look(<[u8]>::len) <= REMEMBERED);
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
    fn it_reads_until_the_end_the_deadline_or_the_limit() {
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(read_all(100_000, later), (100_000, Some(End::Closed)));
        // Whatever there is to read.
        assert_eq!(read_all(1, Instant::now()), (0, Some(End::TimedOut)));
        let (read, end) = read_all(3 * MOST, later);
        assert_eq!(end, Some(End::TooMuch));
        assert!((MOST..MOST + 16 * 1024).contains(&read), "{read}");
    }
}
