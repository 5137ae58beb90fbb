//! The part of a proxy that one worker owns: it forwards requests on its own connections.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use corelane::Body;
use http::{Request, Response};

use super::{
    failure::Failure, member::Member, outgoing::Outgoing, request_body::RequestBody, request_head,
    shared::Shared, upgrade::Handshake,
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

impl WorkerProxy {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let indices = 0..shared.upstreams.len();
        let members = indices.map(|index| Rc::new(Member::new(shared, index)));
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
    /// | 502 | the upstream refuses or breaks the connection, its response is malformed, or it is a 2xx to extended CONNECT |
    /// | 503 | all of several upstreams have failed lately, or this host has no more sockets |
    /// | 504 | a time limit of [`ProxyOptions`](super::ProxyOptions) is exceeded |
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
    async fn forward(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<ResponseBody>, Failed<'_>> {
        let handshake = Handshake::take(&mut request);
        let (mut head, body) = request.into_parts();
        let connection = Arc::clone(body.connection());
        let body = RequestBody::new(body);
        let options = &self.shared.options;
        let target = request_head::prepare(&mut head, &body, &connection, handshake, options)
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
