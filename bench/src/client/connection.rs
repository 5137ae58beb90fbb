//! A connection of the harness's own client.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use rustls::{ClientConfig, HandshakeKind};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_rustls::client::TlsStream;

use super::{
    http1::Http1,
    http2::Http2,
    target::{Target, negotiated},
};
use crate::{
    fixtures::{Resource, UPLOAD},
    terms::{Http, Negotiated},
};

/// Only waiting shows that no response comes.
const EARLY: Duration = Duration::from_millis(50);

pub struct Connection {
    requests: Requests,
    target: Target,
    pub negotiated: Negotiated,
    pub resumed: bool,
}

enum Requests {
    Http1(Box<Mutex<Http1<TlsStream<TcpStream>>>>),
    Http2(Http2),
}

impl Connection {
    pub async fn open(target: &Target, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        Self::open_as(target, tls, "localhost").await
    }

    /// As [`Self::open`], for a server that chooses its certificate by this name.
    pub async fn open_as(
        target: &Target,
        tls: Arc<ClientConfig>,
        name: &str,
    ) -> anyhow::Result<Self> {
        let stream = target.connect(tls, name).await?;
        let session = stream.get_ref().1;
        let negotiated = negotiated(session)?;
        let resumed = match session.handshake_kind() {
            Some(HandshakeKind::Full) => false,
            Some(HandshakeKind::Resumed) => true,
            other => anyhow::bail!("the handshake is neither full nor resumed: {other:?}"),
        };
        let requests = match target.terms.http {
            Http::Http1 => Requests::Http1(Box::new(Mutex::new(Http1::new(stream)))),
            Http::Http2 => Requests::Http2(Http2::new(stream).await?),
        };
        Ok(Self {
            requests,
            target: target.clone(),
            negotiated,
            resumed,
        })
    }

    /// Sends a request and compares every byte of the response.
    pub async fn ask(&self, resource: Resource) -> anyhow::Result<()> {
        let resource = self.target.resource(resource);
        match &self.requests {
            Requests::Http1(http1) => ask_http1(&mut *http1.lock().await, resource).await,
            Requests::Http2(http2) => http2.ask(resource, EARLY).await,
        }
    }

    /// Closes the connection and waits until it is closed.
    pub async fn close(self) -> anyhow::Result<()> {
        match self.requests {
            Requests::Http1(http1) => http1.into_inner().close().await,
            Requests::Http2(http2) => http2.close().await,
        }
    }
}

async fn ask_http1(
    http1: &mut Http1<TlsStream<TcpStream>>,
    resource: Resource,
) -> anyhow::Result<()> {
    let wanted = resource.body();
    http1.ask(resource).await?;
    if resource == Resource::Upload {
        http1.send(&vec![0; UPLOAD - 1]).await?;
        let early = timeout(EARLY, http1.verify(&wanted)).await;
        ensure!(
            early.is_err(),
            "the server answered an upload before its last byte"
        );
        http1.send(&[0]).await?;
    }
    http1.verify(&wanted).await
}
