//! The live status page that browsers get at `/`: the work of each worker.

mod feed;
mod page;
mod snapshot;

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use clap::Args;
use corelane::Body;
use corelane_gateway::ResponseBody;
use futures_util::{StreamExt, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body::Frame;
use http_body_util::StreamBody;

use self::feed::Feed;
pub(crate) use self::snapshot::Source;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Answer / in plain text to browsers too, without the live status page.
    #[arg(long)]
    no_status: bool,
}

impl StatusArgs {
    /// The page's source of numbers. `None`: there is no page.
    pub(crate) fn source(&self) -> Option<Arc<Source>> {
        (!self.no_status).then(Arc::default)
    }
}

/// Scripts and styles only from this server, none inline, and no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Events of one stream: 600, ten minutes. The limit ends the streams of clients that vanished
/// silently; other clients connect again.
const EVENTS: usize = 600;

/// One worker's part of the page.
pub(crate) struct Status(Option<Rc<Feed>>);

impl Status {
    /// Call it on the worker's thread.
    pub(crate) fn new(source: Option<Arc<Source>>) -> Self {
        Self(source.map(|source| Rc::new(Feed::new(source))))
    }

    /// Whether this is the path of the page, where `/` is another's, or of its parts or its events.
    pub(crate) fn has(&self, path: &str) -> bool {
        let is_part = matches!(path, "/status" | "/status.css" | "/status.js" | "/events");
        self.0.is_some() && is_part
    }

    /// The response to a request for the page, its parts or its events. `None` for other requests.
    pub(crate) fn respond(&self, request: &Request<Body>) -> Option<Response<ResponseBody>> {
        let feed = self.0.as_ref()?;
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return None;
        }
        match request.uri().path() {
            "/" if wants_html(request.headers()) => {
                let mut page = page(feed, request)?;
                page.headers_mut().insert(VARY, ACCEPT.into());
                Some(page)
            }
            "/status" => page(feed, request),
            "/status.css" => Some(part("text/css", include_str!("status.css"))),
            "/status.js" => Some(part("text/javascript", include_str!("status.js"))),
            "/events" => Some(events(feed)),
            _ => None,
        }
    }
}

/// `None`: the server has not started yet.
fn page(feed: &Feed, request: &Request<Body>) -> Option<Response<ResponseBody>> {
    let page = page::render(request.body().connection(), &feed.snapshot()?);
    Some(part("text/html; charset=utf-8", page))
}

/// Browsers name `text/html` when they load a page; curl and similar clients do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    })
}

fn events(feed: &Rc<Feed>) -> Response<ResponseBody> {
    let Some(receiver) = feed.watch() else {
        let mut rejection = part("text/plain", "shutting down, or too many viewers\n");
        *rejection.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return rejection;
    };
    let events = stream::unfold(receiver, async |mut receiver| {
        // An error means that the sender is gone: the server shuts down.
        receiver.changed().await.ok()?;
        let event = receiver.borrow_and_update().clone();
        Some((Ok(Frame::data(event)), receiver))
    });
    let body = StreamBody::new(events.take(EVENTS));
    response("text/event-stream", ResponseBody::new(body))
}

fn part(content_type: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    response(content_type, ResponseBody::full(body))
}

fn response(content_type: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
