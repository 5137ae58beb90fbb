//! Clients that ask for an upgrade, by HTTP/1.1 or by extended CONNECT of HTTP/2.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream, client::Connection, ext::Protocol};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    Backend,
    client::{self, Stream, Tls},
};

/// The version of HTTP by which a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

/// The answer to a request for an upgrade.
pub struct Upgrading {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The upgraded stream, or the body of a response that did not upgrade.
    pub stream: Box<dyn Stream>,
}

impl Upgrading {
    /// The stream; panics unless the server has accepted.
    pub fn accepted(self) -> Box<dyn Stream> {
        assert!(
            [101, 200].contains(&self.status.as_u16()),
            "{}",
            self.status
        );
        self.stream
    }
}

/// Asks for `protocol` at this path, with these fields beside those of the version.
pub async fn upgrade(
    version: Version,
    backend: Backend,
    addr: SocketAddr,
    path: &str,
    protocol: &str,
    fields: &[(&str, &str)],
) -> Upgrading {
    upgrade_over(
        version,
        backend,
        client::tcp(addr).await,
        path,
        protocol,
        fields,
    )
    .await
}

/// The same over a socket of the caller.
pub async fn upgrade_over(
    version: Version,
    backend: Backend,
    socket: impl Stream + 'static,
    path: &str,
    protocol: &str,
    fields: &[(&str, &str)],
) -> Upgrading {
    match version {
        Version::Http1 => {
            let mut stream = client::over_version(backend, Tls::Any, &[b"http/1.1"], socket).await;
            let mut request = format!(
                "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n"
            );
            for (name, value) in fields {
                request.push_str(&format!("{name}: {value}\r\n"));
            }
            request.push_str("\r\n");
            stream.write_all(request.as_bytes()).await.expect("sent");
            stream.flush().await.expect("sent");
            let (status, headers) = head(&mut stream).await.expect("a response");
            Upgrading {
                status,
                headers,
                stream,
            }
        }
        Version::Http2 => {
            let stream = client::over(backend, socket).await;
            let mut request = Request::builder()
                .method(Method::CONNECT)
                .uri(format!("https://localhost{path}"))
                .extension(Protocol::from(protocol));
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let builder = &mut h2::client::Builder::new();
            h2_upgrade(stream, builder, request.body(()).expect("a request"))
                .await
                .expect("a response")
        }
    }
}

/// Sends a request that asks for an upgrade on a new connection of HTTP/2.
pub async fn h2_upgrade(
    stream: Box<dyn Stream>,
    builder: &mut h2::client::Builder,
    request: Request<()>,
) -> Result<Upgrading, h2::Error> {
    let is_extended = request.extensions().get::<Protocol>().is_some();
    let (requests, mut connection) = builder.handshake::<_, Bytes>(stream).await?;
    let mut requests = requests;
    // The server's SETTINGS allow the request (RFC 8441 section 3).
    poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx)?;
        match requests.is_extended_connect_protocol_enabled() || !is_extended || ended.is_ready() {
            true => requests.poll_ready(cx),
            false => Poll::Pending,
        }
    })
    .await?;
    let (mut response, send) = requests.send_request(request, false)?;
    let response = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx)?;
        match Pin::new(&mut response).poll(cx) {
            Poll::Pending if ended.is_ready() => panic!("the connection has ended"),
            response => response,
        }
    })
    .await?;
    let (head, receive) = response.into_parts();
    Ok(Upgrading {
        status: head.status,
        headers: head.headers,
        stream: Box::new(H2Stream {
            connection,
            ended: false,
            send,
            receive,
            unread: Bytes::new(),
            _requests: requests,
        }),
    })
}

/// Reads the head of a response, and no byte behind it.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(StatusCode, HeaderMap)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await?);
    }
    let text = String::from_utf8(bytes).expect("text");
    let status = text.get(9..12).and_then(|code| code.parse::<u16>().ok());
    let fields = text.lines().filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| {
        let name = name.parse::<http::HeaderName>().expect("a name");
        (name, value.parse().expect("a value"))
    });
    let status = StatusCode::from_u16(status.expect("a status")).expect("a status");
    Ok((status, fields.collect()))
}

/// A stream of HTTP/2 as a byte stream. It drives its connection.
struct H2Stream {
    connection: Connection<Box<dyn Stream>, Bytes>,
    ended: bool,
    send: SendStream<Bytes>,
    receive: RecvStream,
    unread: Bytes,
    _requests: h2::client::SendRequest<Bytes>,
}

impl H2Stream {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }
}

fn failed(error: h2::Error) -> io::Error {
    match error.is_io() {
        true => error.into_io().expect("an error of I/O"),
        false => io::Error::new(io::ErrorKind::ConnectionReset, error),
    }
}

impl AsyncRead for H2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.drive(cx);
        if self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                Some(data) => self.unread = data.map_err(failed)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..n]);
        self.unread.advance(n);
        let released = self.receive.flow_control().release_capacity(n);
        released.map_err(failed)?;
        // The window's update is sent.
        self.drive(cx);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.drive(cx);
        self.send.reserve_capacity(buf.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => drop(capacity.map_err(failed)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let n = self.send.capacity().min(buf.len());
        let data = Bytes::copy_from_slice(&buf[..n]);
        self.send.send_data(data, false).map_err(failed)?;
        self.drive(cx);
        Poll::Ready(Ok(n))
    }

    /// What the socket does not take now is sent by later calls.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.drive(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.send.send_data(Bytes::new(), true);
        sent.map_err(failed)?;
        self.poll_flush(cx)
    }
}
