//! Reads plaintext into memory that is not initialised.

use std::io::{Read, Write};

use bytes::BufMut;
use openssl::ssl::{Error, SslStream};

/// Appends plaintext to `buf`, at most one record, and returns its length: SSL_read_ex(3).
///
/// # Errors
///
/// Those of [`SslStream::ssl_read`].
pub fn read_into<S: Read + Write>(
    stream: &mut SslStream<S>,
    buf: &mut dyn BufMut,
) -> Result<usize, Error> {
    let room = buf.chunk_mut();
    // SAFETY: OpenSSL does not read the memory, and writes only the bytes of the plaintext, which are
    // initialised.
    let room = unsafe { room.as_uninit_slice_mut() };
    let read = stream.ssl_read_uninit(room)?;
    // SAFETY: OpenSSL has written this many bytes to the beginning of the chunk, which has room for
    // them.
    unsafe { buf.advance_mut(read) };
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        os::unix::net::UnixStream,
        panic::{AssertUnwindSafe, catch_unwind},
        sync::mpsc,
        thread,
    };

    use openssl::ssl::Ssl;

    use super::*;
    use crate::{
        Lent,
        tests::{client, context},
    };

    /// A server's stream: it reads what is lent.
    struct Server {
        wire: Lent,
        socket: UnixStream,
    }

    impl Read for Server {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let read = self.wire.with(|wire| wire.read(buf));
            read.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
        }
    }

    impl Write for Server {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.socket.write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.socket.flush()
        }
    }

    struct Panics;

    impl Read for Panics {
        fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
            panic!("the test's panic")
        }
    }

    #[test]
    fn openssl_reads_what_is_lent() {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let (go, may_send) = mpsc::channel();
        let peer = thread::spawn(move || {
            let mut tls = client().connect(theirs).expect("a handshake");
            may_send.recv().expect("told");
            tls.write_all(&[7; 1000]).expect("sent");
            tls.read(&mut [0]).expect("until the end")
        });
        let wire = Lent::default();
        let stream = Server {
            wire: wire.clone(),
            socket: ours.try_clone().expect("a socket"),
        };
        let mut ssl = Ssl::new(&context(|_| {})).expect("a session");
        ssl.set_accept_state();
        crate::set_read_ahead(&mut ssl, 0);
        let mut server = SslStream::new(ssl, stream).expect("a stream");
        let mut socket = ours;
        wire.lend(&mut socket, || server.do_handshake())
            .expect("a handshake");

        // Without a loan, and after a panic, OpenSSL waits for input.
        let mut received = Vec::with_capacity(10);
        let blocked = read_into(&mut server, &mut received).expect_err("nothing is lent");
        assert_eq!(blocked.code(), openssl::ssl::ErrorCode::WANT_READ);
        let read = || wire.lend(&mut Panics, || read_into(&mut server, &mut received));
        let panic = catch_unwind(AssertUnwindSafe(read)).expect_err("a panic");
        assert_eq!(panic.downcast_ref(), Some(&"the test's panic"));
        read_into(&mut server, &mut received).expect_err("nothing is lent");
        assert_eq!(received, []);

        go.send(()).expect("it waits");
        while received.len() < 1000 {
            let before = received.len();
            let room = &mut (&mut received).limit(10);
            let read = wire.lend(&mut socket, || read_into(&mut server, room));
            let read = read.expect("plaintext");
            assert_eq!(received.len(), before + read);
            assert!(read <= 10, "{read} bytes");
        }
        assert_eq!(received, [7; 1000]);
        server.shutdown().expect("sent");
        assert_eq!(peer.join().expect("no panic"), 0);
    }
}
