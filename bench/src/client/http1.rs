//! HTTP/1.1 of the harness's own client: one request at a time.

use anyhow::{Context, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::fixtures::{Resource, UPLOAD};

/// Fields in the head of a response.
const FIELDS: usize = 32;

/// A connection to a server that declares the length of each response.
pub struct Http1<IO> {
    stream: IO,
    received: Vec<u8>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Http1<IO> {
    pub fn new(stream: IO) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends the head of a request.
    pub async fn ask(&mut self, resource: Resource) -> anyhow::Result<()> {
        let (method, length) = match resource {
            Resource::Upload => ("POST", format!("content-length: {UPLOAD}\r\n")),
            _ => ("GET", String::new()),
        };
        let name = resource.name();
        let head = format!("{method} /{name} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n");
        self.send(head.as_bytes()).await
    }

    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Receives a response and compares every byte of its body.
    pub async fn verify(&mut self, wanted: &[u8]) -> anyhow::Result<()> {
        let head = loop {
            if let Some(head) = head_of(&self.received)? {
                break head;
            }
            self.receive().await?;
        };
        let (status, length) = (head.status, wanted.len());
        ensure!(status == 200, "the server answered {status}");
        let declared = head.length.context("the response has no content-length")?;
        ensure!(
            declared == length,
            "the body has {declared} bytes instead of {length}"
        );
        while self.received.len() < head.bytes + length {
            self.receive().await?;
        }
        let got = self.received.drain(..head.bytes + length);
        ensure!(
            got.as_slice()[head.bytes..] == *wanted,
            "the body has the right length but other bytes"
        );
        Ok(())
    }

    async fn receive(&mut self) -> anyhow::Result<()> {
        let received = self.stream.read_buf(&mut self.received).await?;
        ensure!(received > 0, "the server closed the connection");
        Ok(())
    }

    /// Ends the session.
    pub async fn close(mut self) -> anyhow::Result<()> {
        Ok(self.stream.shutdown().await?)
    }
}

struct Head {
    status: u16,
    length: Option<usize>,
    /// The bytes of the head.
    bytes: usize,
}

/// `None` if the head has not arrived yet.
fn head_of(received: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(bytes) = response.parse(received)? else {
        return Ok(None);
    };
    let mut fields = response.headers.iter();
    let length = fields.find(|it| it.name.eq_ignore_ascii_case("content-length"));
    Ok(Some(Head {
        status: response.code.context("the response has no status")?,
        length: match length {
            Some(length) => Some(std::str::from_utf8(length.value)?.parse()?),
            None => None,
        },
        bytes,
    }))
}
