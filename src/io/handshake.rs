//! From an accepted socket to an open session: reads the ClientHello, decides ALPN, runs the
//! handshake, and checks that the session negotiated the decided protocol. Without TLS the first bytes
//! decide.

use std::{future::poll_fn, io::ErrorKind, net::SocketAddr, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    protocol_sniff::{self, ProtocolSniff},
    receive::receive,
    stream::TlsStream,
    wire::Replay,
};
use crate::{
    alert::AlertDescription,
    alpn::{AlpnMissing, AlpnRule, Decision, Protocol, ProtocolName},
    error::{Error, Kind},
    negotiated::Negotiated,
    tls::{
        client_hello::ClientHello,
        client_hello_reader::ClientHelloReader,
        session::{Client, TlsAcceptor, TlsSession},
    },
};

/// A connection whose handshake is complete.
pub(crate) struct Accepted<IO> {
    pub(crate) stream: TlsStream<IO>,
    pub(crate) negotiated: Negotiated,
    /// The name of the TLS backend.
    pub(crate) backend: &'static str,
    /// `None` for a client over TLS without ALPN: [`TlsStream::sniff_protocol`] has to find it out.
    pub(crate) protocol: Option<Protocol>,
}

/// A failed handshake, with the socket so that the caller can still deliver the final bytes.
pub(crate) struct Failed<IO> {
    pub(crate) error: Error,
    pub(crate) io: IO,
    /// The bytes that the client still has to receive.
    pub(crate) final_bytes: Vec<u8>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Accepts a TLS session on a socket, for HTTP/2. The rule of ALPN is the same for all backends:
    /// `h2` is chosen if the client offers it, and without a common protocol the client is sent the
    /// alert `no_application_protocol` (RFC 7301 section 3.2).
    ///
    /// It has no time limit: drop the future to give up.
    ///
    /// # Errors
    ///
    /// When the handshake fails ([`Error::is_handshake`]), or the socket.
    pub async fn accept(
        io: IO,
        acceptor: &dyn TlsAcceptor,
        missing: AlpnMissing,
    ) -> Result<Self, Error> {
        let rule = AlpnRule::h2(missing);
        let Accepted {
            mut stream,
            protocol,
            ..
        } = match accept(io, acceptor, rule).await {
            Ok(accepted) => accepted,
            Err(mut failed) => {
                send(&mut failed.io, &failed.final_bytes).await;
                return Err(failed.error);
            }
        };
        if protocol.is_none() {
            match stream.sniff_protocol(rule).await {
                Ok((first_bytes, _)) => stream = stream.unread(first_bytes),
                Err(error) => {
                    let _ = poll_fn(|cx| stream.poll_close(cx)).await;
                    return Err(error);
                }
            }
        }
        poll_fn(|cx| stream.poll_sealed_sent(cx))
            .await
            .map_err(|error| Error::handshake("the TLS handshake could not be finished", error))?;
        Ok(stream)
    }

    /// Reads the first bytes of a client over TLS without ALPN, which may be one of HTTP/1.x. If that
    /// is not served, the client gets its response here, because the session has to seal it. The caller
    /// gives the bytes back by [`unread`](Self::unread), and closes the stream after an error.
    pub(crate) async fn sniff_protocol(
        &mut self,
        rule: AlpnRule<'_>,
    ) -> Result<(Vec<u8>, Protocol), Error> {
        let (first_bytes, sniff) = sniff(self, Vec::new(), ProtocolSniff::of_cleartext).await?;
        match served(sniff, rule) {
            Some(protocol) => Ok((first_bytes, protocol)),
            None => {
                send(self, &protocol_sniff::alpn_required(&first_bytes)).await;
                Err(Error::new(Kind::PlainHttp, "the client speaks HTTP/1.x"))
            }
        }
    }
}

/// Accepts a TLS session on a socket that nothing was read from.
pub(crate) async fn accept<IO>(
    io: IO,
    acceptor: &dyn TlsAcceptor,
    rule: AlpnRule<'_>,
) -> Result<Accepted<IO>, Failed<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    accept_after(io, Vec::new(), None, acceptor, rule).await
}

/// Accepts a TLS session on a socket of which `received` was read already.
///
/// A client that is refused has to learn why: by the alert `no_application_protocol` if there is no
/// common protocol, in plain text if it speaks HTTP/1.x without TLS.
/// The end of a successful handshake leaves with the first read or flush.
pub(crate) async fn accept_after<IO>(
    mut io: IO,
    received: Vec<u8>,
    peer_addr: Option<SocketAddr>,
    acceptor: &dyn TlsAcceptor,
    rule: AlpnRule<'_>,
) -> Result<Accepted<IO>, Failed<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let NewSession {
        received,
        choice,
        session,
    } = match start_session(&mut io, received, peer_addr, acceptor, rule).await {
        Ok(started) => started,
        Err(Refused { error, final_bytes }) => {
            return Err(Failed {
                error,
                io,
                final_bytes,
            });
        }
    };
    let mut stream = TlsStream::new(io, Replay::new(received), session);
    match finish(&mut stream, &choice).await {
        Ok(negotiated) => Ok(Accepted {
            stream,
            negotiated,
            backend: acceptor.backend(),
            protocol: match choice {
                Choice::Tls(decision) => decision.protocol(),
                Choice::Cleartext(protocol) => Some(protocol),
            },
        }),
        Err(error) => Err(Failed {
            error,
            io: stream.into_inner(),
            final_bytes: Vec::new(),
        }),
    }
}

/// A session that has not sent anything yet, and the bytes to replay to it.
struct NewSession {
    received: Vec<u8>,
    choice: Choice,
    session: Box<dyn TlsSession>,
}

/// What the first bytes of a connection tell.
enum Choice {
    Tls(Decision),
    Cleartext(Protocol),
}

/// The reason why there is no session, and the bytes to send to the client.
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

async fn start_session<IO>(
    io: &mut IO,
    received: Vec<u8>,
    peer_addr: Option<SocketAddr>,
    acceptor: &dyn TlsAcceptor,
    rule: AlpnRule<'_>,
) -> Result<NewSession, Refused>
where
    IO: AsyncRead + Unpin,
{
    if !acceptor.expects_client_hello() {
        let (received, protocol) = read_preface(io, received, rule).await?;
        return Ok(NewSession {
            received,
            choice: Choice::Cleartext(protocol),
            session: start(acceptor, Client::default().peer_addr(peer_addr)).await?,
        });
    }
    let (hello, received) = read_client_hello(io, received).await?;
    let decision = rule.decide(hello.alpn_protocols.as_deref())?;
    let session = start(acceptor, Client::new(&hello).peer_addr(peer_addr))
        .await
        .map_err(|error| error.or_alert(AlertDescription::InternalError))?;
    Ok(NewSession {
        received,
        choice: Choice::Tls(decision),
        session,
    })
}

async fn start(
    acceptor: &dyn TlsAcceptor,
    client: Client<'_>,
) -> Result<Box<dyn TlsSession>, Error> {
    acceptor.start(&client)?.session().await
}

async fn finish<IO: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut TlsStream<IO>,
    choice: &Choice,
) -> Result<Negotiated, Error> {
    poll_fn(|cx| stream.poll_handshake(cx))
        .await
        .map_err(handshake_failed)?;
    let negotiated = stream.negotiated();
    if let Choice::Tls(decision) = choice
        && let Err(error) = decision.check(negotiated.alpn_protocol.as_ref())
    {
        let _ = poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await;
        return Err(error);
    }
    Ok(negotiated)
}

fn handshake_failed(error: std::io::Error) -> Error {
    // An error of the socket has no other error inside.
    let of_session = error.get_ref().is_some();
    let kind = match error.kind() {
        ErrorKind::PermissionDenied if of_session => Kind::ClientCertificate,
        _ => Kind::Handshake,
    };
    Error::new(kind, "the TLS handshake failed").with_source(error)
}

/// The ClientHello, and all bytes that were read.
async fn read_client_hello<IO>(
    io: &mut IO,
    received: Vec<u8>,
) -> Result<(ClientHello, Vec<u8>), Refused>
where
    IO: AsyncRead + Unpin,
{
    let (first_bytes, sniff) = sniff(io, received, ProtocolSniff::of).await?;
    if sniff == ProtocolSniff::Http1Request {
        return Err(Refused {
            final_bytes: protocol_sniff::tls_required(&first_bytes),
            error: Error::new(Kind::PlainHttp, "the client speaks HTTP without TLS"),
        });
    }
    let mut reader = ClientHelloReader::default();
    let mut hello = reader.push(&first_bytes)?;
    loop {
        if let Some(hello) = hello {
            return Ok((hello, reader.into_received()));
        }
        let mut more = Vec::new();
        receive(io, &mut more, usize::MAX, true).await?;
        hello = reader.push(&more)?;
    }
}

/// The first bytes of a connection without TLS, and what they begin.
async fn read_preface<IO>(
    io: &mut IO,
    received: Vec<u8>,
    rule: AlpnRule<'_>,
) -> Result<(Vec<u8>, Protocol), Refused>
where
    IO: AsyncRead + Unpin,
{
    if !rule.serves(&ProtocolName::H2) {
        return Ok((received, Protocol::Http1));
    }
    let (first_bytes, sniff) = sniff(io, received, ProtocolSniff::of_cleartext).await?;
    match served(sniff, rule) {
        Some(protocol) => Ok((first_bytes, protocol)),
        None => Err(Refused {
            final_bytes: protocol_sniff::http2_required(&first_bytes),
            error: Error::new(Kind::PlainHttp, "the client speaks HTTP/1.x"),
        }),
    }
}

/// The protocol of these first bytes, which HTTP/2 checks itself; `None` if it is not served.
fn served(sniff: ProtocolSniff, rule: AlpnRule<'_>) -> Option<Protocol> {
    match sniff {
        ProtocolSniff::Http1Request => rule
            .serves(&ProtocolName::HTTP_1_1)
            .then_some(Protocol::Http1),
        _ => Some(Protocol::Http2),
    }
}

/// Reads until the protocol is known.
async fn sniff<IO>(
    io: &mut IO,
    mut received: Vec<u8>,
    judge: fn(&[u8]) -> ProtocolSniff,
) -> Result<(Vec<u8>, ProtocolSniff), Error>
where
    IO: AsyncRead + Unpin,
{
    loop {
        match judge(&received) {
            ProtocolSniff::Undecided => {
                let begun = !received.is_empty();
                receive(io, &mut received, usize::MAX, begun).await?;
            }
            sniff => return Ok((received, sniff)),
        }
    }
}

/// Sends the final bytes. An error is ignored, because the connection ends anyway.
async fn send<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) {
    let mut sent = 0;
    while sent < bytes.len() {
        match poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, &bytes[sent..])).await {
            Ok(n) if n > 0 => sent += n,
            _ => return,
        }
    }
}
