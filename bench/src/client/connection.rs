//! A connection of the harness's own client.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use http::{Method, Request, StatusCode};
use rustls::{ClientConfig, HandshakeKind, pki_types::ServerName};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::TlsConnector;

use super::target::{Target, negotiated};
use crate::{
    fixtures::{Resource, UPLOAD},
    terms::Negotiated,
};

pub struct Connection {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
    pub negotiated: Negotiated,
    pub resumed: bool,
}

impl Connection {
    pub async fn open(target: &Target, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(target.addr)
            .await
            .context("cannot connect")?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(tls)
            .connect(name, socket)
            .await
            .context("the TLS handshake failed")?;
        let session = stream.get_ref().1;
        let negotiated = negotiated(session)?;
        let resumed = match session.handshake_kind() {
            Some(HandshakeKind::Full) => false,
            Some(HandshakeKind::Resumed) => true,
            other => anyhow::bail!("the handshake is neither full nor resumed: {other:?}"),
        };
        let (requests, connection) = handshake(stream)
            .await
            .context("the HTTP/2 handshake failed")?;
        let driver = tokio::spawn(connection);
        Ok(Self {
            requests,
            driver,
            negotiated,
            resumed,
        })
    }

    /// Sends a request and compares every byte of the response.
    pub async fn ask(&self, resource: Resource) -> anyhow::Result<()> {
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
            let last = self.upload(body, UPLOAD - 1).await?;
            // Only waiting shows that no response comes.
            let early = timeout(Duration::from_millis(50), &mut response).await;
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

    async fn upload(
        &self,
        mut stream: h2::SendStream<Bytes>,
        mut left: usize,
    ) -> anyhow::Result<LastByte> {
        static ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        while left > 0 {
            stream.reserve_capacity(left.min(ZEROS.len()));
            let granted = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
            let granted = granted.context("the server closed the stream")??.min(left);
            let granted = granted.min(ZEROS.len());
            stream.send_data(Bytes::from_static(&ZEROS[..granted]), false)?;
            left -= granted;
        }
        Ok(LastByte(stream))
    }

    /// Closes the connection and waits until it is closed.
    pub async fn close(self) -> anyhow::Result<()> {
        drop(self.requests);
        // Servers close connections in different ways. All requests have been answered by now.
        let _ = self.driver.await?;
        Ok(())
    }
}

/// The last byte of an upload, which is held back.
struct LastByte(h2::SendStream<Bytes>);

impl LastByte {
    fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.0.send_data(Bytes::from_static(&[0]), true)?)
    }
}
