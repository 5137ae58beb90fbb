//! What the admin port answers.

use bytes::Bytes;
use corelane::Observer;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;

use super::exposition::Exposition;
use crate::health::HEALTH;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) struct Answers {
    exposition: Exposition,
}

impl Answers {
    pub(super) fn new(observer: Observer) -> Self {
        Self {
            exposition: Exposition::new(observer),
        }
    }

    pub(super) fn to<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        let path = request.uri().path();
        if path == "/metrics" {
            return answer(StatusCode::OK, Exposition::TYPE, self.exposition.render());
        }
        match HEALTH.answer(path) {
            Some((status, words)) => text(status, words),
            None => text(
                StatusCode::NOT_FOUND,
                "not found; there are /metrics, /healthz and /readyz\n",
            ),
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    answer(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
