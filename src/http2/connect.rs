//! Requests with CONNECT, and their upgrades until the response decides (RFC 9113 section 8.5, RFC 8441).

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ALLOW, DATE},
    request::Parts,
};

use super::context::ConnectionContext;
use crate::{
    body::{Body, Source},
    h2_engine,
    response::{clean_trailers, date},
    upgrade::{Means, Offer, Tunnel},
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
    head: &mut Parts,
    body: &mut Body,
    context: &ConnectionContext,
) -> Result<Offered, StatusCode> {
    let protocol = h2_engine::connect_protocol(&head.extensions).map(str::to_owned);
    let is_allowed = match protocol {
        Some(_) => context.upgrades.upgrades,
        // Its target is a host and a port.
        None if head.uri.port().is_none() => return Err(StatusCode::BAD_REQUEST),
        None => context.upgrades.connect,
    };
    if !is_allowed {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let protocol = protocol.unwrap_or_default();
    let extensions = &mut head.extensions;
    let offer = Offer::new(Means::Connect, &protocol, extensions, &context.counters);
    let offer = offer.ok_or(StatusCode::METHOD_NOT_ALLOWED)?;
    let empty = Body::empty().with_connection(Arc::clone(&context.info));
    let body = Box::new(std::mem::replace(body, empty));
    Ok(Offered { offer, body })
}

/// The answer to CONNECT that is refused.
pub(super) fn refusal(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6 requires it; no method applies to the target of CONNECT.
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(""));
    }
    response
}

impl Offered {
    /// `None` if a response of this status does not accept the upgrade. The server drains the body then.
    #[cold]
    pub(super) fn accept(self, status: StatusCode) -> Option<(Tunnel, Source)> {
        let tunnel = self.offer.accept(status)?;
        Some((tunnel, self.body.into_source()))
    }
}

/// Completes the fields of a response that accepts: it has no body, so no `content-length` (RFC 9110 section
/// 9.3.6).
pub(super) fn complete(headers: &mut HeaderMap) {
    clean_trailers(headers);
    if !headers.contains_key(DATE)
        && let Some(date) = date::now()
    {
        headers.insert(DATE, date);
    }
}
