//! From an accepted socket to an open session: the ClientHello, the decision on ALPN, the
//! handshake, the check that the session agrees. Without TLS: that it is not HTTP/1.x.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    TlsStream,
    protocol_sniff::{self, ProtocolSniff},
    wire::Replay,
};
use crate::{
    alert::AlertDescription,
    alpn::{self, AlpnMissing, Decision},
    error::{Error, Kind},
    negotiated::Negotiated,
    scratch::Scratch,
    tls::{
        client_hello::ClientHello,
        client_hello_reader::ClientHelloReader,
        session::{TlsAcceptor, TlsSession},
    },
};

/// A connection whose handshake is done.
pub(crate) struct Accepted<IO> {
    pub(crate) stream: TlsStream<IO>,
    pub(crate) negotiated: Negotiated,
}

/// A handshake that failed, with the socket, so that what was sent last can still arrive.
pub(crate) struct Failed<IO> {
    pub(crate) error: Error,
    pub(crate) io: IO,
    /// What the client is still to be told.
    pub(crate) final_bytes: Vec<u8>,
}

/// Accepts a TLS session on a socket.
///
/// A client that is refused before there is a session is still to be told why: where there is no
/// common protocol by the alert `no_application_protocol`, in plain text if it speaks HTTP/1.x. The
/// last of the handshake leaves with the first read or flush.
pub(crate) async fn accept<IO>(
    io: IO,
    acceptor: &dyn TlsAcceptor,
    missing: AlpnMissing,
) -> Result<Accepted<IO>, Failed<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    accept_behind(io, Vec::new(), acceptor, missing).await
}

/// The same, where `ahead` has been read of the socket already.
pub(crate) async fn accept_behind<IO>(
    mut io: IO,
    ahead: Vec<u8>,
    acceptor: &dyn TlsAcceptor,
    missing: AlpnMissing,
) -> Result<Accepted<IO>, Failed<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let Begun {
        hello,
        received,
        decision,
        session,
    } = match begin(&mut io, ahead, acceptor, missing).await {
        Ok(begun) => begun,
        Err(Refused { error, final_bytes }) => {
            return Err(Failed {
                error,
                io,
                final_bytes,
            });
        }
    };
    let mut stream = TlsStream::new(io, Replay::new(received), session);
    match finish(&mut stream, hello, decision).await {
        Ok(negotiated) => Ok(Accepted { stream, negotiated }),
        Err(error) => Err(Failed {
            error,
            io: stream.into_inner(),
            final_bytes: Vec::new(),
        }),
    }
}

/// A session that has not sent anything yet, and what it starts with.
struct Begun {
    hello: Option<ClientHello>,
    received: Vec<u8>,
    decision: Decision,
    session: Box<dyn TlsSession>,
}

/// Why there is no session, and what the client is told.
struct Refused {
    error: Error,
    final_bytes: Vec<u8>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let alert = error.alert().map(|alert| alert.record().to_vec());
        Self {
            error,
            final_bytes: alert.unwrap_or_default(),
        }
    }
}

async fn begin<IO>(
    io: &mut IO,
    ahead: Vec<u8>,
    acceptor: &dyn TlsAcceptor,
    missing: AlpnMissing,
) -> Result<Begun, Refused>
where
    IO: AsyncRead + Unpin,
{
    if !acceptor.expects_client_hello() {
        return Ok(Begun {
            hello: None,
            received: read_preface(io, ahead).await?,
            decision: Decision::PriorKnowledge,
            session: acceptor.start(None)?,
        });
    }
    let (hello, received) = read_client_hello(io, ahead).await?;
    let decision = alpn::decide(hello.alpn_protocols.as_deref(), missing)?;
    let session = acceptor
        .start(Some(&hello))
        .map_err(|error| error.or_alert(AlertDescription::InternalError))?;
    Ok(Begun {
        hello: Some(hello),
        received,
        decision,
        session,
    })
}

async fn finish<IO: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut TlsStream<IO>,
    hello: Option<ClientHello>,
    decision: Decision,
) -> Result<Negotiated, Error> {
    poll_fn(|cx| stream.poll_handshake(cx))
        .await
        .map_err(|error| Error::handshake("the TLS handshake failed", error))?;
    let negotiated = stream.negotiated();
    if hello.is_some()
        && let Err(error) = decision.check(negotiated.alpn_protocol.as_ref())
    {
        let _ = poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await;
        return Err(error);
    }
    Ok(negotiated)
}

/// How much is read at once while the ClientHello is collected: most fit.
const READ_AHEAD: usize = 4096;

async fn read_client_hello<IO>(
    io: &mut IO,
    ahead: Vec<u8>,
) -> Result<(ClientHello, Vec<u8>), Refused>
where
    IO: AsyncRead + Unpin,
{
    let (opening, opened) = read_opening(io, ahead, ProtocolSniff::of).await?;
    if opened == ProtocolSniff::Request {
        return Err(Refused {
            final_bytes: protocol_sniff::wants_tls(&opening),
            error: Error::new(Kind::PlainHttp, "the client speaks HTTP without TLS"),
        });
    }
    let mut reader = ClientHelloReader::default();
    let mut hello = reader.push(&opening)?;
    loop {
        if let Some(hello) = hello {
            return Ok((hello, reader.into_received()));
        }
        let mut more = Vec::new();
        read(io, &mut more).await?;
        hello = reader.push(&more)?;
    }
}

/// The first bytes of a connection without TLS, for HTTP/2 to judge if they are no HTTP/1.x.
async fn read_preface<IO>(io: &mut IO, ahead: Vec<u8>) -> Result<Vec<u8>, Refused>
where
    IO: AsyncRead + Unpin,
{
    let (opening, opened) = read_opening(io, ahead, ProtocolSniff::of_cleartext).await?;
    if opened == ProtocolSniff::Request {
        return Err(Refused {
            final_bytes: protocol_sniff::wants_http2(&opening),
            error: Error::new(Kind::PlainHttp, "the client speaks HTTP/1.x"),
        });
    }
    Ok(opening)
}

/// Reads until it is clear what the connection begins with.
async fn read_opening<IO>(
    io: &mut IO,
    ahead: Vec<u8>,
    judge: fn(&[u8]) -> ProtocolSniff,
) -> Result<(Vec<u8>, ProtocolSniff), Error>
where
    IO: AsyncRead + Unpin,
{
    let mut opening = ahead;
    loop {
        match judge(&opening) {
            ProtocolSniff::Undecided => read(io, &mut opening).await?,
            opened => return Ok((opening, opened)),
        }
    }
}

/// Appends what has come to `received`.
async fn read<IO>(io: &mut IO, received: &mut Vec<u8>) -> Result<(), Error>
where
    IO: AsyncRead + Unpin,
{
    read_at_most(io, received, READ_AHEAD).await
}

/// The same, `limit` bytes at most.
pub(super) async fn read_at_most<IO>(
    io: &mut IO,
    received: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Error>
where
    IO: AsyncRead + Unpin,
{
    let limit = limit.min(READ_AHEAD);
    let n = poll_fn(|cx| poll_read(io, cx, received, limit))
        .await
        .map_err(|error| Error::handshake("the socket failed before the first message", error))?;
    match n {
        0 => Err(Error::new(
            Kind::Truncated,
            "the client closed before its first message was complete",
        )),
        _ => Ok(()),
    }
}

/// By way of the thread's memory, as a client may take its time.
fn poll_read<IO: AsyncRead + Unpin>(
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

/// Sends what is left to say. That it could not be sent is no news: the connection ends either way.
pub(super) async fn send<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) {
    let mut sent = 0;
    while sent < bytes.len() {
        match poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, &bytes[sent..])).await {
            Ok(n) if n > 0 => sent += n,
            _ => return,
        }
    }
}
