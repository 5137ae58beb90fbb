//! The record of one request, from its start until its response is sent.

use std::{
    fmt,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use bytes::Buf;
use corelane::{Body, ConnectionInfo, Rejection};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{REFERER, USER_AGENT},
};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{format::AccessLogFormat, log::Log};

/// The logged facts about a request.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) format: AccessLogFormat,
    /// When the response ended.
    pub(super) time: SystemTime,
    pub(super) duration: Duration,
    pub(super) connection: Arc<ConnectionInfo>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) referer: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
    /// The status of the response, if there was one.
    pub(super) status: Option<StatusCode>,
    /// The length of the response's body.
    pub(super) bytes_sent: u64,
    /// Whether HTTP/2 took the whole response. If not, the stream was reset or the connection has
    /// ended.
    pub(super) complete: bool,
}

/// Logs the request when it is dropped, with or without a response.
pub(super) struct Record {
    log: Rc<Log>,
    started: Instant,
    /// On the heap, where the log needs it: records move with their responses.
    entry: Option<Box<Entry>>,
    rejection: Rejection,
}

impl Record {
    pub(super) fn start(log: &Rc<Log>, request: &Request<Body>) -> Self {
        let header = |name: HeaderName| HeaderMap::get(request.headers(), name).cloned();
        let entry = Entry {
            format: log.format,
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
            started: Instant::now(),
            entry: Some(Box::new(entry)),
            rejection: request.body().rejection(),
        }
    }

    /// Moves the record into the response's body.
    pub(super) fn attach<B: http_body::Body>(
        mut self,
        response: Response<B>,
    ) -> Response<RecordedBody<B>> {
        let status = response.status();
        if let Some(entry) = &mut self.entry {
            entry.status = Some(status);
            // The server does not poll a body that it does not send.
            entry.complete = entry.method == Method::HEAD
                || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
                || response.body().is_end_stream();
        }
        response.map(|body| RecordedBody { body, record: self })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.time = SystemTime::now();
            entry.duration = self.started.elapsed();
            if let Some(status) = self.rejection.status() {
                entry.status = Some(status);
                entry.complete = true;
            }
            self.log.write(entry);
        }
    }
}

pin_project! {
    /// A response's body, which counts its bytes for the access log.
    pub struct RecordedBody<B> {
        #[pin]
        body: B,
        record: Record,
    }
}

impl<B: http_body::Body> http_body::Body for RecordedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => this.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if let Some(entry) = &mut this.record.entry {
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

impl<B: fmt::Debug> fmt::Debug for RecordedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedBody")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
