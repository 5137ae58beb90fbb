//! Requests with CONNECT, and their upgrades until the response decides (RFC 9113 section 8.5, RFC 8441).

use std::{sync::Arc, task::Context};

use http::{HeaderMap, Request, Response, StatusCode, header::DATE, response};

use super::{context::ConnectionContext, send_buffer::Chunk, tunnel::Tunnel};
use crate::{
    body::{Body, Source},
    http2_engine::{self, ResponseSender},
    response::{Failure, date, remove_framing},
    upgrade::{self, Means, Offer},
};

/// The upgrade that a request asks for, and the body that it has if it is not upgraded.
pub(super) struct Offered {
    offer: Offer,
    body: Box<Body>,
}

/// Offers the upgrade to the handler, which gets an empty body meanwhile. The error is the status by which the
/// server refuses the request.
#[cold]
pub(super) fn offer(
    request: &mut Request<Body>,
    context: &ConnectionContext,
) -> Result<Offered, StatusCode> {
    let protocol = http2_engine::connect_protocol(request.extensions()).map(str::to_owned);
    let is_allowed = match protocol {
        Some(_) => context.upgrades.upgrades,
        // Its target is a host and a port.
        None if request.uri().port().is_none() => return Err(StatusCode::BAD_REQUEST),
        None => context.upgrades.connect,
    };
    if !is_allowed {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let protocol = protocol.unwrap_or_default();
    let extensions = request.extensions_mut();
    let offer = Offer::new(Means::Connect, &protocol, extensions, &context.counters);
    let offer = offer.ok_or(StatusCode::METHOD_NOT_ALLOWED)?;
    let empty = Body::empty().with_connection(Arc::clone(&context.info));
    let body = Box::new(std::mem::replace(request.body_mut(), empty));
    Ok(Offered { offer, body })
}

impl Offered {
    /// `None` if a response of this status does not accept the upgrade. The server drains the body then.
    #[cold]
    pub(super) fn accept(self, status: StatusCode) -> Option<Accepted> {
        let handler = self.offer.accept(status)?;
        let source = self.body.into_source();
        Some(Accepted { handler, source })
    }
}

/// An upgrade whose response is not sent yet.
pub(super) struct Accepted {
    handler: upgrade::Tunnel,
    source: Source,
}

impl Accepted {
    /// Sends the head of the response. Its body is not sent.
    pub(super) fn send_head(
        self,
        mut head: response::Parts,
        respond: &mut ResponseSender<Chunk>,
        context: &ConnectionContext,
        cx: &mut Context<'_>,
    ) -> Result<Tunnel, Failure> {
        complete(&mut head.headers);
        let status = head.status;
        let sent = respond.send_head(Response::from_parts(head, ()), false);
        let stream = sent.map_err(|error| {
            let gone = respond.poll_closed(cx).is_ready();
            Failure::not_sent(&error, gone, &context.counters)
        })?;
        context.counters.response(status.as_u16());
        context.wants_pings.set(true);
        Ok(Tunnel::new(self.handler, self.source, stream, context))
    }
}

/// Completes the fields of a response that accepts: it has no body, so no `content-length` (RFC 9110 section
/// 9.3.6).
fn complete(headers: &mut HeaderMap) {
    remove_framing(headers);
    if !headers.contains_key(DATE)
        && let Some(date) = date::now()
    {
        headers.insert(DATE, date);
    }
}
