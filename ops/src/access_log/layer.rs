//! The access log as a tower layer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use corelane::Body;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    log::{AccessLog, Log},
    record::{Record, RecordedBody},
};

/// Records each request of a service: made by [`AccessLog::layer`].
///
/// Use it in the function that makes a worker's service
/// ([`Server::serve`](corelane::Server::serve)), as the outermost layer, so that the log has the
/// status and the length that clients receive.
#[derive(Clone)]
pub struct AccessLogLayer {
    log: Log,
}

impl AccessLog {
    /// The layer that records into this log.
    pub fn layer(&self) -> AccessLogLayer {
        AccessLogLayer {
            log: self.log().clone(),
        }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLogService<S>;

    fn layer(&self, inner: S) -> AccessLogService<S> {
        AccessLogService {
            log: Rc::new(self.log.clone()),
            inner,
        }
    }
}

impl fmt::Debug for AccessLogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogLayer").finish_non_exhaustive()
    }
}

/// A service whose requests are recorded: made by [`AccessLogLayer`].
#[derive(Clone)]
pub struct AccessLogService<S> {
    /// One per worker: its clone for a request is not atomic.
    log: Rc<Log>,
    inner: S,
}

impl<S, B> Service<Request<Body>> for AccessLogService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
{
    type Response = Response<RecordedBody<B>>;
    type Error = S::Error;
    type Future = AccessLogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let record = Record::start(&self.log, &request);
        AccessLogFuture {
            response: self.inner.call(request),
            record: Some(record),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for AccessLogService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The response of an [`AccessLogService`].
    pub struct AccessLogFuture<F> {
        #[pin]
        response: F,
        // `Some` until there is a response. If it is dropped earlier, it logs a request without a
        // response.
        record: Option<Record>,
    }
}

impl<F, B, E> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: http_body::Body,
{
    type Output = Result<Response<RecordedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(cx))?;
        // `None` only if the future is polled after completion, which its contract forbids.
        match this.record.take() {
            Some(record) => Poll::Ready(Ok(record.attach(response))),
            None => Poll::Pending,
        }
    }
}

impl<F: fmt::Debug> fmt::Debug for AccessLogFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogFuture")
            .field("response", &self.response)
            .finish_non_exhaustive()
    }
}
