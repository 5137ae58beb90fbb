//! HTTP/2 of the harness's own client.

use std::{pin::pin, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::{
    SendStream,
    client::{SendRequest, handshake},
};
use http::{Method, Request, StatusCode};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::client::TlsStream;

use crate::fixtures::{Resource, UPLOAD};

/// The connection runs as a task.
pub struct Http2 {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    pub async fn new(stream: TlsStream<TcpStream>) -> anyhow::Result<Self> {
        let (requests, connection) = handshake(stream)
            .await
            .context("the HTTP/2 handshake failed")?;
        let driver = tokio::spawn(connection);
        Ok(Self { requests, driver })
    }

    /// Sends a request and compares every byte of the response. For an upload, checks that no response comes
    /// within `early` while the last byte is missing.
    pub async fn ask(&self, resource: Resource, early: Duration) -> anyhow::Result<()> {
        let method = match resource {
            Resource::Upload => Method::POST,
            _ => Method::GET,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("https://localhost/{}", resource.name()));
        let upload = resource == Resource::Upload;
        let request = if upload {
            request.header("content-length", UPLOAD)
        } else {
            request
        };
        let mut requests = self.requests.clone().ready().await?;
        let (response, body) = requests.send_request(request.body(())?, !upload)?;
        let mut response = pin!(response);
        if upload {
            let last = LastByte(send_zeros(body, UPLOAD - 1).await?);
            let early = timeout(early, &mut response).await;
            ensure!(
                early.is_err(),
                "the server answered an upload before its last byte"
            );
            last.finish()?;
        }
        let response = response.await.context("no response")?;
        ensure!(
            response.status() == StatusCode::OK,
            "the server answered {}",
            response.status()
        );
        let wanted = resource.body();
        let mut got = Vec::with_capacity(wanted.len());
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let data = data.context("the response's body is incomplete")?;
            body.flow_control().release_capacity(data.len())?;
            got.extend_from_slice(&data);
        }
        let (length, wanted_length) = (got.len(), wanted.len());
        ensure!(
            length == wanted_length,
            "the body has {length} bytes instead of {wanted_length}"
        );
        ensure!(
            got == wanted,
            "the body has the right length but other bytes"
        );
        Ok(())
    }

    /// Closes the connection and waits until it is closed.
    pub async fn close(self) -> anyhow::Result<()> {
        drop(self.requests);
        // Servers close connections in different ways. All requests have been answered by now.
        let _ = self.driver.await?;
        Ok(())
    }
}

/// Sends this many bytes of a body, as the windows allow.
pub async fn send_zeros(
    mut stream: SendStream<Bytes>,
    mut left: usize,
) -> anyhow::Result<SendStream<Bytes>> {
    static ZEROS: [u8; 16 << 10] = [0; 16 << 10];
    while left > 0 {
        stream.reserve_capacity(left.min(ZEROS.len()));
        let granted = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let granted = granted.context("the server closed the stream")??.min(left);
        let granted = granted.min(ZEROS.len());
        stream.send_data(Bytes::from_static(&ZEROS[..granted]), false)?;
        left -= granted;
    }
    Ok(stream)
}

/// The last byte of an upload, which is held back.
struct LastByte(SendStream<Bytes>);

impl LastByte {
    fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.0.send_data(Bytes::from_static(&[0]), true)?)
    }
}
