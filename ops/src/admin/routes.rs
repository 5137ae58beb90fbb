//! The responses of the admin port.

use std::borrow::Cow;

use bytes::Bytes;
use corelane::Observer;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;

use super::{exposition::Exposition, host::AllowedHosts};
use crate::Health;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) struct Routes {
    exposition: Exposition,
    health: Health,
    hosts: AllowedHosts,
}

impl Routes {
    /// `record` adds metrics to those of the server.
    pub(super) fn new(
        observer: Observer,
        health: Health,
        record: Box<dyn Fn()>,
        hosts: AllowedHosts,
    ) -> Self {
        Self {
            exposition: Exposition::new(observer, record),
            health,
            hosts,
        }
    }

    pub(super) fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !self.hosts.allow(request) {
            return text(
                StatusCode::MISDIRECTED_REQUEST,
                "the host of the request is neither an address nor localhost nor an allowed name\n",
            );
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut rejection = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            rejection.headers_mut().insert(ALLOW, allowed);
            return rejection;
        }
        let path = request.uri().path();
        if path == "/metrics" {
            return response(StatusCode::OK, Exposition::TYPE, self.exposition.render());
        }
        match self.health.response(path) {
            Some((status, state)) => text(status, state),
            None => text(
                StatusCode::NOT_FOUND,
                "not found; the routes are /metrics, /healthz and /readyz\n",
            ),
        }
    }
}

fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Response<Full<Bytes>> {
    let text = match text.into() {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    response(status, TEXT, text)
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
