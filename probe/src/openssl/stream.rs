//! A connection of OpenSSL: its records pass through two byte queues in memory.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    mem,
};

use super::errors::{self, failed_io};
use crate::{handshake::Failed, recorder::Recorder, stream::Stream};
use ::openssl::{
    ssl::{Error as SslError, ErrorCode, Ssl, SslStream},
    x509::X509VerifyResult,
};

/// How much to read at once, bytes: a record.
const RECORD: usize = 16 * 1024;

/// The records that OpenSSL has to read, and those that it has written.
#[derive(Default)]
pub(super) struct Pipe {
    incoming: VecDeque<u8>,
    /// Whether the server has closed the connection.
    closed: bool,
    outgoing: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buf)? {
            0 if !self.closed => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outgoing.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes OpenSSL write its ClientHello. The error says why it cannot: by the system's policy, or for want
/// of an algorithm.
pub(super) fn begin(ssl: Ssl) -> Result<SslStream<Pipe>, String> {
    let stream = SslStream::new(ssl, Pipe::default());
    let mut stream = stream.map_err(|error| errors::in_words(&error))?;
    match stream.do_handshake() {
        Err(error) if error.code() != ErrorCode::WANT_READ => Err(match error.ssl_error() {
            Some(stack) => errors::in_words(stack),
            None => error.to_string(),
        }),
        _ => Ok(stream),
    }
}

pub(super) struct OpensslStream {
    tls: SslStream<Pipe>,
    socket: Recorder,
}

impl OpensslStream {
    /// A connection that has [begun](begin).
    pub(super) fn new(tls: SslStream<Pipe>, socket: Recorder) -> Self {
        Self { tls, socket }
    }

    pub(super) async fn handshake(&mut self) -> Result<(), Failed> {
        let result = self.repeat(|tls| tls.do_handshake()).await;
        result.map_err(|error| match error {
            Failure::Tls(error) => errors::failed(&error, self.verified()),
            Failure::Io(error) => failed_io(&error),
        })
    }

    pub(super) fn alpn_protocol(&self) -> Option<Vec<u8>> {
        let name = self.tls.ssl().selected_alpn_protocol();
        name.map(<[u8]>::to_vec)
    }

    fn verified(&self) -> X509VerifyResult {
        self.tls.ssl().verify_result()
    }

    /// Repeats the call until it no longer waits for the server.
    async fn repeat<T>(
        &mut self,
        mut call: impl FnMut(&mut SslStream<Pipe>) -> Result<T, SslError>,
    ) -> Result<T, Failure> {
        loop {
            let result = call(&mut self.tls);
            // An error also sends something: the alert to the server.
            self.flush().await?;
            match result {
                Err(error) if error.code() == ErrorCode::WANT_READ => self.fill().await?,
                result => return result.map_err(Failure::Tls),
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let outgoing = mem::take(&mut self.tls.get_mut().outgoing);
        match outgoing.is_empty() {
            true => Ok(()),
            false => self.socket.write(outgoing).await,
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let bytes = self.socket.read(RECORD).await?;
        let pipe = self.tls.get_mut();
        pipe.closed = bytes.is_empty();
        pipe.incoming.extend(bytes);
        Ok(())
    }
}

impl Stream for OpensslStream {
    async fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let read = self.repeat(|tls| tls.ssl_read(&mut bytes)).await;
        match read {
            Err(Failure::Tls(error)) if error.code() == ErrorCode::ZERO_RETURN => Ok(Vec::new()),
            read => {
                bytes.truncate(read?);
                Ok(bytes)
            }
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = self.repeat(|tls| tls.ssl_write(rest)).await?;
            rest = &rest[written..];
        }
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        // The result only says whether the server has sent its close_notify.
        let _ = self.tls.shutdown();
        self.flush().await?;
        self.socket.shutdown().await
    }
}

enum Failure {
    Tls(SslError),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            // The server closed the connection without a close_notify.
            Failure::Tls(error)
                if matches!(errors::failed(&error, X509VerifyResult::OK), Failed::Closed) =>
            {
                Self::new(io::ErrorKind::UnexpectedEof, error)
            }
            Failure::Tls(error) => Self::other(error),
            Failure::Io(error) => error,
        }
    }
}
