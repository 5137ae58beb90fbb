//! Reads the first bytes of a connection, before there is a TLS session.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

use crate::{
    error::{Error, Kind},
    scratch::Scratch,
};

/// How much one read takes at most, bytes: enough for most ClientHellos.
const RECEIVE_AT_ONCE: usize = 4096;

/// Appends at least one byte to `received`, and `limit` bytes at most. The end of the stream is an
/// error. `begun` tells whether the client has sent anything before.
pub(super) async fn receive<IO>(
    io: &mut IO,
    received: &mut Vec<u8>,
    limit: usize,
    begun: bool,
) -> Result<(), Error>
where
    IO: AsyncRead + Unpin,
{
    let limit = limit.min(RECEIVE_AT_ONCE);
    let read = poll_fn(|cx| poll_receive(io, cx, received, limit)).await;
    match read {
        Ok(0) if begun => Err(Error::new(
            Kind::Truncated,
            "the client closed before its first message was complete",
        )),
        Ok(0) => Err(nothing_sent()),
        Ok(_) => Ok(()),
        // Health checks of TCP end by a reset, too.
        Err(error) if !begun && error.kind() == io::ErrorKind::ConnectionReset => {
            Err(nothing_sent().with_source(error))
        }
        Err(error) => Err(Error::handshake(
            "the socket failed before the first message",
            error,
        )),
    }
}

fn nothing_sent() -> Error {
    Error::new(
        Kind::NothingSent,
        "the client closed before it sent anything",
    )
}

/// Reads into memory of the thread: a client may take long to send its first bytes.
fn poll_receive<IO: AsyncRead + Unpin>(
    io: &mut IO,
    cx: &mut Context<'_>,
    received: &mut Vec<u8>,
    limit: usize,
) -> Poll<io::Result<usize>> {
    let mut scratch = Scratch::take();
    let mut buf = ReadBuf::new(&mut scratch[..limit]);
    ready!(Pin::new(io).poll_read(cx, &mut buf))?;
    received.extend_from_slice(buf.filled());
    Poll::Ready(Ok(buf.filled().len()))
}
