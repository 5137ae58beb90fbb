//! One request, from its beginning until its response has gone.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use bytes::Buf;
use corelane::{Body, ConnectionInfo, Refusal};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{REFERER, USER_AGENT},
};
use http_body::{Frame, SizeHint};

use super::Log;

/// What there is to say of a request.
#[derive(Debug)]
pub(super) struct Entry {
    /// Of the end.
    pub(super) time: SystemTime,
    pub(super) duration: Duration,
    pub(super) connection: Arc<ConnectionInfo>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) referer: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
    /// Of the response, if there was one.
    pub(super) status: Option<StatusCode>,
    /// Of the response's body.
    pub(super) bytes_sent: u64,
    /// Whether the response was handed to HTTP/2 whole. If not, its stream was reset, or its
    /// connection has ended.
    pub(super) complete: bool,
}

/// Logs the request when it is dropped, be it before there is a response.
pub(crate) struct Record {
    log: Rc<Log>,
    begun: Instant,
    entry: Option<Entry>,
    refusal: Refusal,
}

impl Record {
    pub(crate) fn begin(log: &Rc<Log>, request: &Request<Body>) -> Self {
        let header = |name: HeaderName| HeaderMap::get(request.headers(), name).cloned();
        let entry = Entry {
            time: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            connection: Arc::clone(request.body().connection()),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            referer: header(REFERER),
            user_agent: header(USER_AGENT),
            status: None,
            bytes_sent: 0,
            complete: false,
        };
        Self {
            log: Rc::clone(log),
            begun: Instant::now(),
            entry: Some(entry),
            refusal: request.body().refusal(),
        }
    }

    /// The response, which takes the record with it.
    pub(crate) fn answered<B: http_body::Body>(
        mut self,
        response: Response<B>,
    ) -> Response<Recorded<B>> {
        let status = response.status();
        if let Some(entry) = &mut self.entry {
            entry.status = Some(status);
            // Nobody asks for a body that is not sent.
            entry.complete = entry.method == Method::HEAD
                || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
                || response.body().is_end_stream();
        }
        response.map(|body| Recorded { body, record: self })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.time = SystemTime::now();
            entry.duration = self.begun.elapsed();
            if let Some(status) = self.refusal.status() {
                entry.status = Some(status);
                entry.complete = true;
            }
            self.log.write(entry);
        }
    }
}

/// A response's body, counted.
pub(crate) struct Recorded<B> {
    body: B,
    record: Record,
}

impl<B: http_body::Body + Unpin> http_body::Body for Recorded<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if let Some(entry) = &mut self.record.entry {
            let data = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref());
            entry.bytes_sent += data.map_or(0, |data| data.remaining() as u64);
            entry.complete = ended;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
