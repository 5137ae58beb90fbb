//! Enforces the deadlines of gRPC calls.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::runtime::TIMER;
use crate::{
    grpc::{self, Status},
    time::Sleep,
};

/// Ends gRPC calls at their deadline, which the client sends as `grpc-timeout`: with
/// `DEADLINE_EXCEEDED` (4), whether the response has begun or not. The handler is dropped. A
/// `grpc-timeout` that is malformed is answered with `INTERNAL` (13), as grpc-go does. Requests that are no
/// gRPC calls are not changed.
///
/// Of tonic, only its own transport enforces deadlines. The service has to run in a worker of corelane.
///
/// ```
/// use corelane::{Body, grpc_timeout, service_fn};
/// # use http::{Request, Response};
/// # async fn routes(_: Request<Body>) -> Result<Response<String>, std::convert::Infallible> {
/// #     Ok(Response::new(String::new()))
/// # }
/// # let routes = service_fn(routes);
///
/// // `routes` is for example a `tonic::service::Routes`.
/// let service = grpc_timeout(routes);
/// # let _: &dyn Fn(corelane::WorkerInfo) -> _ = &|_worker| service.clone();
/// ```
pub fn grpc_timeout<S>(service: S) -> GrpcTimeout<S> {
    GrpcTimeout { service }
}

/// Made by [`grpc_timeout`].
#[derive(Clone, Copy, Debug)]
pub struct GrpcTimeout<S> {
    service: S,
}

impl<S, R, B> Service<Request<R>> for GrpcTimeout<S>
where
    S: Service<Request<R>, Response = Response<B>>,
{
    type Response = Response<GrpcTimeoutBody<B>>;
    type Error = S::Error;
    type Future = GrpcTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let headers = request.headers();
        let timeout = match grpc::is_call(headers) {
            true => grpc::timeout(headers),
            false => None,
        };
        match timeout {
            Some(Err(grpc::Malformed)) => GrpcTimeoutFuture {
                answer: None,
                sleep: None,
            },
            Some(Ok(timeout)) => GrpcTimeoutFuture {
                answer: Some(self.service.call(request)),
                sleep: Some((TIMER.sleep)(timeout)),
            },
            None => GrpcTimeoutFuture {
                answer: Some(self.service.call(request)),
                sleep: None,
            },
        }
    }
}

const PASSED: &str = "the deadline of the call has passed";
const MALFORMED: &str = "grpc-timeout is malformed";

pin_project! {
    /// The response of [`GrpcTimeout`].
    pub struct GrpcTimeoutFuture<F> {
        // `None` for a call with a malformed timeout.
        #[pin]
        answer: Option<F>,
        sleep: Option<Sleep>,
    }
}

impl<F, B, E> Future for GrpcTimeoutFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<GrpcTimeoutBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let ended = |status: Status, message| {
            let response = status.response(message);
            Poll::Ready(Ok(response.map(|()| GrpcTimeoutBody::empty())))
        };
        let Some(answer) = this.answer.as_pin_mut() else {
            return ended(Status::Internal, MALFORMED);
        };
        if let Poll::Ready(result) = answer.poll(cx) {
            let sleep = this.sleep.take();
            return Poll::Ready(result.map(|response| {
                response.map(|body| GrpcTimeoutBody {
                    body: Some(body),
                    sleep,
                })
            }));
        }
        if let Some(sleep) = this.sleep {
            ready!(sleep.as_mut().poll(cx));
            return ended(Status::DeadlineExceeded, PASSED);
        }
        Poll::Pending
    }
}

pin_project! {
    /// The response body of [`GrpcTimeout`].
    pub struct GrpcTimeoutBody<B> {
        // `None` after the deadline.
        #[pin]
        body: Option<B>,
        sleep: Option<Sleep>,
    }
}

impl<B> GrpcTimeoutBody<B> {
    fn empty() -> Self {
        Self {
            body: None,
            sleep: None,
        }
    }
}

impl<B: Body> Body for GrpcTimeoutBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        // Before the body, which may have something at any time.
        if let Some(sleep) = this.sleep
            && sleep.as_mut().poll(cx).is_ready()
        {
            this.body.set(None);
            let trailers: HeaderMap = Status::DeadlineExceeded.trailers(PASSED);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            // A deadline may end it before.
            Some(_) if self.sleep.is_some() => SizeHint::default(),
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<F> fmt::Debug for GrpcTimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTimeoutFuture").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for GrpcTimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTimeoutBody").finish_non_exhaustive()
    }
}
