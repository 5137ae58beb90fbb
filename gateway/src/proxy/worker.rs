//! The part of a proxy that one worker owns: it forwards requests on its own connections.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use corelane::{Body, monoio::time::timeout};
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;

use super::{
    connect::{Connector, Socket},
    failure::Failure,
    health::Health,
    http1, http2,
    options::ProxyOptions,
    request_body::{RequestBody, Upload},
    request_head::{self, Target},
    response_head,
    send_error::SendError,
    shared::Shared,
    single_flight::SingleFlight,
    upstream::Upstream,
    upstream_body::{Lease, UpstreamBody},
};
use crate::body::ResponseBody;

/// A [`Proxy`](super::Proxy) on one worker: it has connections of its own, and stays on the thread
/// that made it.
///
/// A clone uses the same connections.
#[derive(Clone)]
pub struct WorkerProxy {
    inner: Rc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    members: Vec<Rc<Member>>,
    /// The upstream of the next request, by round robin.
    next: Cell<usize>,
}

/// An upstream and the worker's connections to it.
struct Member {
    upstream: Rc<Upstream>,
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

/// A request on its way, with what a second try needs.
struct Outgoing {
    head: Parts,
    body: RequestBody,
}

impl WorkerProxy {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let options = &shared.options;
        let members = shared.upstreams.iter().enumerate();
        let members = members.map(|(index, (upstream, _))| {
            Rc::new(Member {
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
            })
        });
        let members: Vec<_> = members.collect();
        // The workers begin at different upstreams.
        let worker = shared.workers.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Rc::new(Inner {
                shared: Arc::clone(shared),
                next: Cell::new(worker % members.len()),
                members,
            }),
        }
    }

    /// Forwards a request and returns the upstream's response, or one of the proxy's own.
    ///
    /// | status | cause |
    /// |---|---|
    /// | 400, 431, 501 | the request cannot be forwarded |
    /// | 502 | the upstream refuses or breaks the connection, or its response is malformed |
    /// | 503 | all of several upstreams have failed lately, or this host has no more sockets |
    /// | 504 | a time limit of [`ProxyOptions`] is exceeded |
    ///
    /// The reason is logged and not told to the client. What fails after the head of the response is
    /// an error of the body, so that the client's stream is reset.
    pub async fn respond(&self, request: Request<Body>) -> Response<ResponseBody> {
        let method = request.method().clone();
        match self.inner.forward(request).await {
            Ok(response) => response,
            Err((failure, member)) => {
                failure.log(member.map(|member| &*member.upstream), &method);
                failure.response()
            }
        }
    }
}

/// A failure, with the upstream that failed last.
type Failed<'a> = (Failure, Option<&'a Rc<Member>>);

impl Inner {
    async fn forward(&self, request: Request<Body>) -> Result<Response<ResponseBody>, Failed<'_>> {
        let (mut head, body) = request.into_parts();
        let connection = Arc::clone(body.connection());
        let body = RequestBody::new(body);
        let target = request_head::prepare(&mut head, &body, &connection, &self.shared.options)
            .map_err(|failure| (failure, None))?;
        let mut outgoing = Outgoing { head, body };
        let mut member = self.choose(None).ok_or((Failure::AllDown, None))?;
        let mut fresh = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let (failure, again) = match member.exchange(outgoing, &target, fresh).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let next = match again {
                Some(again) if tries < 2 => again,
                _ => return Err((failure, Some(member))),
            };
            // After a connection that was kept for too long, the same upstream may do.
            let other = match next.stale {
                true => Some(member),
                false => self.choose(Some(member)),
            };
            let Some(other) = other else {
                return Err((failure, Some(member)));
            };
            let error = corelane::Chain(&failure);
            tracing::debug!(upstream = %member.upstream, next = %other.upstream, %error, "trying again");
            (member, fresh, outgoing) = (other, true, *next.outgoing);
        }
    }

    /// The next upstream that is up, other than `but`. A single one is always up.
    fn choose(&self, but: Option<&Rc<Member>>) -> Option<&Rc<Member>> {
        let count = self.members.len();
        let first = self.next.get();
        for step in 0..count {
            let index = (first + step) % count;
            let member = &self.members[index];
            if but.is_some_and(|but| Rc::ptr_eq(but, member)) {
                continue;
            }
            if count == 1 || member.health().is_up() {
                self.next.set((index + 1) % count);
                return Some(member);
            }
        }
        None
    }
}

/// A request that may be sent again.
struct Again {
    outgoing: Box<Outgoing>,
    /// It failed on a connection that was kept since an earlier request, and had probably been closed.
    stale: bool,
}

type Exchanged<T> = Result<T, (Failure, Option<Again>)>;

impl Member {
    fn health(&self) -> &Health {
        &self.shared.upstreams[self.index].1
    }

    fn options(&self) -> &ProxyOptions {
        &self.shared.options
    }

    /// Sends the request and waits for the head of its response.
    async fn exchange(
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
            let (mut head, incoming) = response.into_parts();
            response_head::prepare(&mut head).map_err(|failure| (failure, None))?;
            Ok((head, incoming, lease))
        });
        match exchanged {
            Ok((head, incoming, lease)) => {
                self.health().succeeded(&self.upstream);
                let body = UpstreamBody::new(incoming, &self.upstream, lease);
                Ok(Response::from_parts(head, body.into()))
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
        let pooled = match fresh {
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

fn again(outgoing: Option<Outgoing>, stale: bool) -> Option<Again> {
    Some(Again {
        outgoing: Box::new(outgoing?),
        stale,
    })
}

/// The failure of a request, and whether it may be sent again: if it was not sent at all, or if it may
/// be repeated (`copy`).
fn failed(
    error: SendError,
    upload: Option<&Upload>,
    copy: Option<Outgoing>,
    stale: bool,
) -> (Failure, Option<Again>) {
    match error {
        SendError::NotSent(request) => {
            let closed = Rc::new(io::ErrorKind::ConnectionAborted.into());
            (
                Failure::Connect(closed),
                again(Some((*request).into()), stale),
            )
        }
        SendError::Timeout => (Failure::ResponseTimeout, None),
        SendError::Failed(error) if upload.is_some_and(Upload::has_failed) => {
            (Failure::RequestBody(error), None)
        }
        SendError::Failed(error) => (Failure::NoResponse(error), again(copy, stale)),
    }
}

impl From<Outgoing> for Request<RequestBody> {
    fn from(Outgoing { head, body }: Outgoing) -> Self {
        Self::from_parts(head, body)
    }
}

impl From<Request<RequestBody>> for Outgoing {
    fn from(request: Request<RequestBody>) -> Self {
        let (head, body) = request.into_parts();
        Self { head, body }
    }
}
