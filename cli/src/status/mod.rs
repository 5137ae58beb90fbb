//! The default page as browsers get it: what the workers do, live.

mod feed;
mod page;
mod snapshot;

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use clap::Args;
use corelane::{Body, Error};
use futures_util::{StreamExt, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

use self::feed::Feed;
pub(crate) use self::snapshot::Source;

type ResponseBody = UnsyncBoxBody<Bytes, Error>;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Answer browsers on / in plain text too, not by the live status page.
    #[arg(long)]
    no_status: bool,
}

impl StatusArgs {
    /// Where the page gets its numbers from, once the server runs; `None`: there is no page.
    pub(crate) fn source(&self) -> Option<Arc<Source>> {
        (!self.no_status).then(Arc::default)
    }
}

/// Nothing but what this server sends, nothing within the page, and not in a frame of others.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How many events a stream has: those whose client has vanished without a word end by it, the
/// others connect again.
const EVENTS: usize = 600;

/// One worker's share of the page.
#[derive(Clone)]
pub(crate) struct Status(Option<Rc<Feed>>);

impl Status {
    /// Has to be made on the worker's thread.
    pub(crate) fn new(source: Option<Arc<Source>>) -> Self {
        Self(source.map(|source| Rc::new(Feed::new(source))))
    }

    /// The answer to this request if it is one for the page, a part of it or its events.
    pub(crate) fn answer(&self, request: &Request<Body>) -> Option<Response<ResponseBody>> {
        let feed = self.0.as_ref()?;
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return None;
        }
        match request.uri().path() {
            "/" if wants_html(request.headers()) => {
                let page = page::render(request.body().connection(), &feed.snapshot()?);
                let mut page = part("text/html; charset=utf-8", page);
                page.headers_mut().insert(VARY, ACCEPT.into());
                Some(page)
            }
            "/status.css" => Some(part("text/css", include_str!("status.css"))),
            "/status.js" => Some(part("text/javascript", include_str!("status.js"))),
            "/events" => Some(events(feed)),
            _ => None,
        }
    }
}

/// Browsers name it when a page is asked for; curl and its like take anything.
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
        let mut refusal = part("text/plain", "shutting down, or too many viewers\n");
        *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return refusal;
    };
    let events = stream::unfold(receiver, async |mut receiver| {
        // Nobody sends any more: the server shuts down.
        receiver.changed().await.ok()?;
        let event = receiver.borrow_and_update().clone();
        Some((Ok(Frame::data(event)), receiver))
    });
    let body = StreamBody::new(events.take(EVENTS));
    response("text/event-stream", body.boxed_unsync())
}

fn part(content_type: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let body = Full::new(body.into()).map_err(|never| match never {});
    response(content_type, body.boxed_unsync())
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
