//! A client of HTTP/1.x that sends only the bytes that a test gives it, and reads responses.

use std::{io, net::SocketAddr};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Backend, TestServer,
    client::{self, Tls},
};

pub struct Http1Client {
    stream: Box<dyn client::Stream>,
    unread: BytesMut,
}

/// A response, as far as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http1Response {
    pub status: u16,
    /// The status line and the fields, as they arrived.
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
    /// Whether it ended as its framing says, and in order if the end of the connection is its end.
    pub complete: bool,
}

impl Http1Response {
    /// The value of a field; `None` if it is absent.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// Whether the server says that it closes the connection.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

impl Http1Client {
    /// A connection that has negotiated `http/1.1`, if the backend has TLS.
    pub async fn connect(backend: Backend, server: &TestServer) -> Self {
        Self::connect_to(backend, server.addr).await
    }

    /// The same to any server, with TLS as this backend has it.
    pub async fn connect_to(backend: Backend, addr: SocketAddr) -> Self {
        let tcp = client::tcp(addr).await;
        Self {
            stream: client::over_version(backend, Tls::Any, &[b"http/1.1"], tcp).await,
            unread: BytesMut::new(),
        }
    }

    /// Sends bytes. The server may have closed the connection: reading shows it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes.as_ref()).await;
    }

    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ends the sending side.
    pub async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Sends bytes and reads the response to them.
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Http1Response {
        let is_head = request.as_ref().starts_with(b"HEAD ");
        self.send(request).await;
        self.response(is_head).await.expect("a response")
    }

    /// Reads this many bytes at most and drops them; `false` at the end of the connection, clean or not.
    pub async fn read_some(&mut self, most: usize) -> bool {
        let mut bytes = vec![0; most];
        matches!(self.stream.read(&mut bytes).await, Ok(n) if n > 0)
    }

    /// Whether the connection has ended, after it was read to its end or to the first byte.
    pub async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.fill().await
    }

    /// Reads a response; `None` if the connection ended before its head did.
    pub async fn response(&mut self, to_head: bool) -> Option<Http1Response> {
        let head = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let head = self.unread.split_to(end + 4);
                break String::from_utf8(head.to_vec()).expect("text");
            }
            if !self.fill().await {
                return None;
            }
        };
        let code = head.get(9..12).and_then(|code| code.parse().ok());
        let mut response = Http1Response {
            status: code.expect("a status"),
            head,
            body: Vec::new(),
            trailers: String::new(),
            complete: true,
        };
        let has_body = !to_head && response.status >= 200 && ![204, 304].contains(&response.status);
        if has_body {
            self.body(&mut response).await;
        }
        Some(response)
    }

    async fn body(&mut self, response: &mut Http1Response) {
        let length = response.field("content-length").map(str::to_owned);
        if response.field("transfer-encoding") == Some("chunked") {
            response.complete = self.chunks(response).await.is_some();
        } else if let Some(length) = length {
            let length = length.parse().expect("a number");
            response.complete = self.exactly(length, &mut response.body).await.is_some();
        } else {
            response.complete = loop {
                match self.stream.read_buf(&mut self.unread).await {
                    Ok(0) => break true,
                    Ok(_) => {}
                    Err(_) => break false,
                }
            };
            response.body = self.unread.split().to_vec();
        }
    }

    async fn chunks(&mut self, response: &mut Http1Response) -> Option<()> {
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(&line, 16).expect("a size");
            if size == 0 {
                break;
            }
            self.exactly(size, &mut response.body).await?;
            assert_eq!(self.line().await?, "", "behind a chunk");
        }
        loop {
            match self.line().await?.as_str() {
                "" => return Some(()),
                line => response.trailers.push_str(&format!("{line}\n")),
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                let line = self.unread.split_to(end).to_vec();
                self.unread.advance(2);
                return Some(String::from_utf8(line).expect("text"));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, mut length: usize, to: &mut Vec<u8>) -> Option<()> {
        loop {
            let part = self.unread.split_to(length.min(self.unread.len()));
            to.extend_from_slice(&part);
            length -= part.len();
            if length == 0 {
                return Some(());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads more; `false` at the end of the connection, clean or not.
    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(n) if n > 0)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|at| at == wanted)
}
