//! From an accepted socket to an open session: the ClientHello, the decision on ALPN, the
//! handshake, the check that the session agrees.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{TlsStream, wire::Replay};
use crate::{
    alert::AlertDescription,
    alpn::{self, AlpnMissing, Decision},
    error::{Error, Kind},
    negotiated::Negotiated,
    tls::{
        client_hello::{ClientHello, ClientHelloReader},
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
}

/// Accepts a TLS session on a socket.
///
/// Where there is no common protocol the client has been sent the alert `no_application_protocol`
/// when this returns.
pub(crate) async fn accept<IO>(
    mut io: IO,
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
    } = match begin(&mut io, acceptor, missing).await {
        Ok(begun) => begun,
        Err(error) => {
            if let Some(alert) = error.alert() {
                send_alert(&mut io, alert).await;
            }
            return Err(Failed { error, io });
        }
    };
    let mut stream = TlsStream::new(io, Replay::new(received), session);
    match finish(&mut stream, hello, decision).await {
        Ok(negotiated) => Ok(Accepted { stream, negotiated }),
        Err(error) => Err(Failed {
            error,
            io: stream.into_inner(),
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

async fn begin<IO>(
    io: &mut IO,
    acceptor: &dyn TlsAcceptor,
    missing: AlpnMissing,
) -> Result<Begun, Error>
where
    IO: AsyncRead + Unpin,
{
    if !acceptor.expects_client_hello() {
        return Ok(Begun {
            hello: None,
            received: Vec::new(),
            decision: Decision::PriorKnowledge,
            session: acceptor.start(None)?,
        });
    }
    let (hello, received) = read_client_hello(io).await?;
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
    poll_fn(|cx| stream.poll_sealed_sent(cx))
        .await
        .map_err(|error| Error::handshake("the TLS handshake could not be finished", error))?;
    Ok(negotiated)
}

/// How much is read at once while the ClientHello is collected: most fit.
const READ_AHEAD: usize = 4096;

async fn read_client_hello<IO>(io: &mut IO) -> Result<(ClientHello, Vec<u8>), Error>
where
    IO: AsyncRead + Unpin,
{
    let mut reader = ClientHelloReader::default();
    let mut chunk = [0; READ_AHEAD];
    loop {
        let n = poll_fn(|cx| poll_read(io, cx, &mut chunk))
            .await
            .map_err(|error| Error::handshake("the socket failed before a ClientHello", error))?;
        if n == 0 {
            return Err(Error::new(
                Kind::Truncated,
                "the client closed before it had sent a ClientHello",
            ));
        }
        if let Some(hello) = reader.push(&chunk[..n])? {
            return Ok((hello, reader.into_received()));
        }
    }
}

fn poll_read<IO: AsyncRead + Unpin>(
    io: &mut IO,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(buf);
    Pin::new(io)
        .poll_read(cx, &mut buf)
        .map_ok(|()| buf.filled().len())
}

/// Sends the alert. That it could not be sent is no news: the connection ends either way.
async fn send_alert<IO: AsyncWrite + Unpin>(io: &mut IO, alert: AlertDescription) {
    let record = alert.record();
    let mut sent = 0;
    while sent < record.len() {
        match poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, &record[sent..])).await {
            Ok(n) if n > 0 => sent += n,
            _ => return,
        }
    }
}
