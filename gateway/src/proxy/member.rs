//! An upstream as one worker uses it: sends requests on its own connections to it.

use std::{io, rc::Rc, sync::Arc};

use corelane::{Body, monoio::time::timeout};
use futures_util::FutureExt as _;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::{
    connect::{Connector, Socket},
    failure::Failure,
    health::Health,
    http1, http2,
    options::ProxyOptions,
    outgoing::{Exchanged, Outgoing, again, failed},
    request_body::RequestBody,
    request_head::Target,
    response_head,
    send_error::SendError,
    shared::Shared,
    single_flight::SingleFlight,
    upgrade::Handshake,
    upstream::Upstream,
    upstream_body::{Lease, UpstreamBody},
};
use crate::body::ResponseBody;

/// An upstream and the worker's connections to it.
pub(super) struct Member {
    pub(super) upstream: Rc<Upstream>,
    shared: Arc<Shared>,
    index: usize,
    /// The upstream's own name and port.
    host: HeaderValue,
    connector: Connector,
    http1: Rc<http1::Pool>,
    http2: http2::Connections,
    /// Requests that come while the first connection is opened wait for it.
    connecting: SingleFlight<Result<(), Rc<io::Error>>>,
}

impl Member {
    pub(super) fn new(shared: &Arc<Shared>, index: usize) -> Self {
        let (options, upstream) = (&shared.options, &shared.upstreams[index].0);
        Self {
            upstream: Rc::new(upstream.clone()),
            shared: Arc::clone(shared),
            index,
            host: HeaderValue::from_str(&upstream.authority())
                .unwrap_or(HeaderValue::from_static("localhost")),
            connector: Connector::new(upstream),
            http1: Rc::new(http1::Pool::new(
                options.max_idle_connections,
                options.idle_timeout,
            )),
            http2: http2::Connections::new(options.idle_timeout),
            connecting: SingleFlight::new(),
        }
    }

    pub(super) fn health(&self) -> &Health {
        &self.shared.upstreams[self.index].1
    }

    fn options(&self) -> &ProxyOptions {
        &self.shared.options
    }

    /// Sends the request and waits for the head of its response.
    pub(super) async fn exchange(
        self: &Rc<Self>,
        outgoing: Outgoing,
        target: &Target,
        fresh: bool,
    ) -> Exchanged<Response<ResponseBody>> {
        let exchanged = match self.upstream.http2 {
            false => self.exchange_http1(outgoing, target, fresh).await,
            true => self.exchange_http2(outgoing, target, fresh).await,
        };
        let exchanged = exchanged.and_then(|(response, lease)| {
            self.answer(response, lease, target.handshake.as_ref())
                .map_err(|failure| (failure, None))
        });
        match exchanged {
            Ok(response) => {
                self.health().succeeded(&self.upstream);
                Ok(response)
            }
            Err((failure, again)) => {
                let stale = again.as_ref().is_some_and(|again| again.stale);
                if failure.counts() && !stale {
                    let (most, time) =
                        (self.options().max_failures, self.options().failure_timeout);
                    self.health().failed(&self.upstream, most, time);
                }
                Err((failure, again))
            }
        }
    }

    /// Turns an upstream's response into one for the client.
    fn answer(
        &self,
        response: Response<Incoming>,
        lease: Lease,
        handshake: Option<&Handshake>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let (mut head, incoming) = response.into_parts();
        if let Some(handshake) = handshake {
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                let why = "the upstream switches protocols before it has the request's body";
                let upgraded = lease.into_upgraded().ok_or(Failure::Malformed(why))?;
                return handshake.accept(head, upgraded, &self.upstream);
            }
            // Not the upstream's fault: it may ignore `upgrade` (RFC 9110 section 7.8).
            if handshake.is_connect() && head.status.is_success() {
                let why = "the upstream has no such protocol for this path";
                return Err(Failure::Request(StatusCode::BAD_GATEWAY, why));
            }
        }
        response_head::prepare(&mut head)?;
        let body = UpstreamBody::new(incoming, &self.upstream, lease);
        Ok(Response::from_parts(head, body.into()))
    }

    /// The `host` of a request.
    fn host<'a>(&'a self, target: &'a Target) -> &'a HeaderValue {
        match &target.authority {
            Some(authority) if self.options().preserve_host => authority,
            _ => &self.host,
        }
    }

    async fn exchange_http1(
        &self,
        mut outgoing: Outgoing,
        target: &Target,
        fresh: bool,
    ) -> Exchanged<(Response<Incoming>, Lease)> {
        let pooled = match fresh || target.handshake.is_some() {
            true => None,
            false => self.http1.take(),
        };
        let stale = pooled.is_some();
        let mut connection = match pooled {
            Some(connection) => connection,
            None => match self.connect_http1().await {
                Ok(connection) => connection,
                Err(error) => return Err((Failure::Connect(error), again(Some(outgoing), false))),
            },
        };
        if target.handshake.is_some() {
            connection.expect_upgrade();
        }
        target.for_http1(&mut outgoing.head, &outgoing.body, self.host(target));
        let copy = self.copy(&outgoing, stale);
        let upload = outgoing.body.upload();
        let sent = connection.send(outgoing.into(), upload.as_deref()).await;
        let response = match sent {
            Ok(response) => response,
            Err(SendError::Failed(_)) if connection.is_head_too_large() => {
                return Err((Failure::HeadTooLarge, None));
            }
            Err(error) => {
                let copy = copy.filter(|_| !connection.has_received());
                return Err(failed(error, upload.as_deref(), copy, stale));
            }
        };
        let announced = response_head::announced_idle_time(response.headers());
        let lease = http1::Lease::new(connection, &self.http1, upload, &response, announced);
        Ok((response, Lease::Http1(Box::new(lease))))
    }

    async fn exchange_http2(
        self: &Rc<Self>,
        mut outgoing: Outgoing,
        target: &Target,
        fresh: bool,
    ) -> Exchanged<(Response<Incoming>, Lease)> {
        if target.handshake.as_ref().is_some_and(Handshake::is_connect) {
            let why = "upgrades are not forwarded to upstreams of HTTP/2";
            let failure = Failure::Request(StatusCode::NOT_IMPLEMENTED, why);
            return Err((failure, None));
        }
        let open = match fresh {
            true => None,
            false => self.http2.take(),
        };
        let stale = open.is_some();
        let stream = match open {
            Some(stream) => stream,
            None => match self.connect_http2().await {
                Ok(stream) => stream,
                Err(error) => return Err((Failure::Connect(error), again(Some(outgoing), false))),
            },
        };
        target
            .for_http2(&mut outgoing.head, self.host(target))
            .map_err(|failure| (failure, None))?;
        let copy = self.copy(&outgoing, stale);
        let upload = outgoing.body.upload();
        let limit = self.options().response_timeout;
        let sent = stream.send(outgoing.into(), upload.as_deref(), limit);
        let (response, deadline) = sent
            .await
            .map_err(|error| failed(error, upload.as_deref(), copy, stale))?;
        let lease = Lease::Http2 {
            _stream: stream,
            deadline,
            upload,
        };
        Ok((response, lease))
    }

    async fn connect_http1(&self) -> Result<http1::Connection, Rc<io::Error>> {
        let socket = self.connect().await?;
        http1::Connection::handshake(socket, self.options().response_timeout)
            .await
            .map_err(|error| Rc::new(io::Error::other(error)))
    }

    async fn connect_http2(self: &Rc<Self>) -> Result<http2::Stream, Rc<io::Error>> {
        loop {
            let member = Rc::clone(self);
            let open = || {
                async move {
                    let socket = member.connect().await?;
                    let added = member.http2.add(socket).await;
                    added.map_err(|error| Rc::new(io::Error::other(error)))
                }
                .boxed_local()
            };
            self.connecting.join(open).await?;
            // More requests may have waited for the connection than it has room for.
            if let Some(stream) = self.http2.take() {
                return Ok(stream);
            }
        }
    }

    async fn connect(&self) -> Result<Socket, Rc<io::Error>> {
        match timeout(self.options().connect_timeout, self.connector.connect()).await {
            Ok(connected) => connected.map_err(Rc::new),
            Err(_) => Err(Rc::new(io::ErrorKind::TimedOut.into())),
        }
    }

    /// A copy of a request that may be sent again (RFC 9110 section 9.2.2), if there is a reason to.
    fn copy(&self, outgoing: &Outgoing, stale: bool) -> Option<Outgoing> {
        let repeatable = outgoing.head.method.is_idempotent()
            && outgoing.body.is_end_stream()
            && (stale || self.shared.upstreams.len() > 1);
        repeatable.then(|| Outgoing {
            head: outgoing.head.clone(),
            body: RequestBody::new(Body::empty()),
        })
    }
}
