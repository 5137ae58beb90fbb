//! One request: from the service's call to the last byte of its response.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;

use super::{
    body::Body,
    context::ConnectionContext,
    declared_length::DeclaredLength,
    headers,
    send::{Chunk, Outgoing, Stopped},
    upload::Upload,
};
use crate::{
    error::{BoxError, Chain, panic_message},
    service::HttpService,
    time::LeastRate,
};

pin_project! {
    /// Answers one request. Whatever the service does, its panics included, ends here.
    ///
    /// Written out, as an `async fn` would keep each of its values two or three times over, and
    /// there is one of these for every request in flight.
    pub(super) struct RequestTask<S: HttpService> {
        context: Rc<ConnectionContext>,
        respond: SendResponse<Chunk>,
        is_head: bool,
        upload: Upload,
        counted: bool,
        #[pin]
        state: State<S>,
    }

    impl<S: HttpService> PinnedDrop for RequestTask<S> {
        fn drop(this: Pin<&mut Self>) {
            if !this.counted {
                this.context.counters.requests_abandoned.add();
            }
        }
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: HttpService> {
        Asked {
            service: S,
            request: Option<Request<Body>>,
        },
        Called {
            #[pin]
            answer: S::Future,
        },
        Sending {
            stream: SendStream<Chunk>,
            outgoing: Option<Outgoing>,
            stall: LeastRate,
            declared: DeclaredLength,
            #[pin]
            body: S::ResponseBody,
        },
        /// What is left is the rest of the request's body.
        Over,
    }
}

/// Why a stream is over before its response is.
enum Ended {
    /// The service failed or panicked.
    Failed,
    /// The request's body is larger than is allowed, and nothing has been answered yet.
    TooLarge,
    /// The request's body has not come in, or too slowly.
    BodyLate,
    Stopped(Stopped),
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<h2::Error> for Ended {
    fn from(error: h2::Error) -> Self {
        Self::Stopped(error.into())
    }
}

impl<S: HttpService> RequestTask<S> {
    pub(super) fn new(
        service: S,
        request: Request<RecvStream>,
        respond: SendResponse<Chunk>,
        context: Rc<ConnectionContext>,
    ) -> Self {
        let is_head = request.method() == Method::HEAD;
        let (request, upload) = Upload::begin(request, &context);
        Self {
            context,
            respond,
            is_head,
            upload,
            counted: false,
            state: State::Asked {
                service,
                request: Some(request),
            },
        }
    }
}

impl<S: HttpService> Future for RequestTask<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.counted {
            let result = match catch_unwind(AssertUnwindSafe(|| self.as_mut().poll_answer(cx))) {
                Ok(Poll::Ready(result)) => result,
                Ok(Poll::Pending) => {
                    self.project().upload.discard(cx);
                    return Poll::Pending;
                }
                Err(panic) => {
                    report_panic(panic, &self.context);
                    Err(Ended::Failed)
                }
            };
            if !self.as_mut().end(result) {
                return Poll::Ready(());
            }
        }
        self.project().upload.poll_rest(cx)
    }
}

impl<S: HttpService> RequestTask<S> {
    /// Tells the peer what is left to tell it; whether it has its response.
    fn end(self: Pin<&mut Self>, result: Result<(), Ended>) -> bool {
        let mut this = self.project();
        *this.counted = true;
        let reason = match result {
            Ok(()) => {
                this.context.credits.answered();
                None
            }
            Err(Ended::TooLarge) => {
                this.context.counters.request_bodies_too_large.add();
                answer(this.respond, StatusCode::PAYLOAD_TOO_LARGE);
                None
            }
            Err(Ended::BodyLate) => {
                this.context.counters.bodies_timed_out.add();
                tracing::debug!(limit = ?this.context.limits.body, "a request's body was too slow");
                answer(this.respond, StatusCode::REQUEST_TIMEOUT);
                None
            }
            Err(Ended::Stopped(Stopped::Gone)) => {
                this.context.counters.requests_abandoned.add();
                if !matches!(this.state.project(), StateProjection::Sending { .. }) {
                    this.context.credits.early_reset();
                }
                return false;
            }
            Err(Ended::Failed) => Some(Reason::INTERNAL_ERROR),
            Err(Ended::Stopped(Stopped::Stalled)) => {
                this.context.counters.streams_stalled.add();
                tracing::debug!(limit = ?this.context.limits.write, "a peer granted a stream too little window");
                Some(Reason::CANCEL)
            }
        };
        if let Some(reason) = reason {
            match this.state.project() {
                StateProjection::Sending { stream, .. } => stream.send_reset(reason),
                _ => this.respond.send_reset(reason),
            }
            return false;
        }
        this.context.counters.requests_answered.add();
        this.state.set(State::Over);
        true
    }

    fn poll_answer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                StateProjection::Asked { service, request } => {
                    if this.upload.is_too_large() {
                        return Poll::Ready(Err(Ended::TooLarge));
                    }
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => {
                            return failed(error, this.respond.poll_reset(cx), this.context);
                        }
                        Poll::Pending => return poll_gone(this.respond.poll_reset(cx)),
                    }
                    // It is there: it is taken here only, and then this state is over.
                    let Some(request) = request.take() else {
                        return Poll::Ready(Err(Ended::Failed));
                    };
                    let answer = service.call(request);
                    this.state.set(State::Called { answer });
                }
                StateProjection::Called { answer } => match answer.poll(cx) {
                    // Whatever the handler makes of the error that it got.
                    _ if this.upload.is_too_large() => {
                        this.upload.refuse(StatusCode::PAYLOAD_TOO_LARGE);
                        return Poll::Ready(Err(Ended::TooLarge));
                    }
                    Poll::Ready(Ok(response)) => {
                        if !self.as_mut().begin(response)? {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Err(error)) => {
                        return failed(error, this.respond.poll_reset(cx), this.context);
                    }
                    Poll::Pending => {
                        this.upload.poll_go_on(this.respond, cx)?;
                        if this.upload.poll_late(cx).is_ready() {
                            this.upload.refuse(StatusCode::REQUEST_TIMEOUT);
                            return Poll::Ready(Err(Ended::BodyLate));
                        }
                        return poll_gone(this.respond.poll_reset(cx));
                    }
                },
                StateProjection::Sending {
                    stream,
                    outgoing,
                    stall,
                    declared,
                    body,
                } => return poll_body(body, stream, outgoing, stall, declared, this.context, cx),
                StateProjection::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Sends the response's head; whether its body is to follow.
    fn begin(self: Pin<&mut Self>, response: Response<S::ResponseBody>) -> Result<bool, Ended> {
        let mut this = self.project();
        let (mut head, body) = response.into_parts();
        if head.status.is_informational() {
            this.context.counters.handler_errors.add();
            tracing::error!(status = %head.status, "a handler answered with an informational status");
            return Err(Ended::Failed);
        }
        let has_body =
            !*this.is_head && headers::may_have_body(head.status) && !body.is_end_stream();
        let declared = headers::complete(
            &mut head.headers,
            head.status,
            *this.is_head,
            &body,
            &this.context.content_length,
        );
        let declared = match declared {
            Ok(declared) => declared,
            Err(lie) => return Err(lied(lie, this.context)),
        };
        if body.is_end_stream() && !*this.is_head && headers::may_have_body(head.status) {
            declared.end().map_err(|lie| lied(lie, this.context))?;
        }
        let response = Response::from_parts(head, ());
        let stream = match this.respond.send_response(response, !has_body) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "a response could not be sent");
                return Err(error.into());
            }
        };
        if has_body {
            let limits = &this.context.limits;
            let stall = LeastRate::new(this.context.timer, limits.write, limits.min_rate);
            this.state.set(State::Sending {
                stream,
                outgoing: None,
                stall,
                declared,
                body,
            });
        }
        Ok(has_body)
    }
}

/// Answers in place of the handler. That the peer is gone is no news: it is found out elsewhere.
fn answer(respond: &mut SendResponse<Chunk>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let _ = respond.send_response(response, true);
}

/// A service that fails when its peer is gone mostly does so because of that.
fn failed<T>(
    error: impl Into<BoxError>,
    reset: Poll<Result<Reason, h2::Error>>,
    context: &ConnectionContext,
) -> Poll<Result<T, Ended>> {
    if reset.is_ready() {
        return Poll::Ready(Err(Stopped::Gone.into()));
    }
    context.counters.handler_errors.add();
    tracing::error!(error = %Chain(&*error.into()), "a handler failed");
    Poll::Ready(Err(Ended::Failed))
}

/// A response that is not as long as it says.
fn lied(lie: &'static str, context: &ConnectionContext) -> Ended {
    context.counters.handler_errors.add();
    tracing::error!(error = lie, "a handler made a malformed response");
    Ended::Failed
}

/// Whether the peer has reset the stream, or the connection has ended, meanwhile.
fn poll_gone<T>(reset: Poll<Result<Reason, h2::Error>>) -> Poll<Result<T, Ended>> {
    reset.map(|_reason| Err(Stopped::Gone.into()))
}

/// Sends the body, frame by frame.
fn poll_body<B>(
    mut body: Pin<&mut B>,
    stream: &mut SendStream<Chunk>,
    outgoing: &mut Option<Outgoing>,
    stall: &mut LeastRate,
    declared: &mut DeclaredLength,
    context: &ConnectionContext,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Ended>>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    loop {
        if let Some(data) = outgoing {
            let ended = ready!(data.poll(stream, stall, context, cx))?;
            *outgoing = None;
            if ended {
                return Poll::Ready(Ok(()));
            }
        }
        let frame = match body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return failed(error, stream.poll_reset(cx), context),
            Poll::Ready(None) => {
                declared.end().map_err(|lie| lied(lie, context))?;
                *outgoing = Some(Outgoing::new(bytes::Bytes::new(), true, context));
                continue;
            }
            Poll::Pending => {
                stall.pause();
                return poll_gone(stream.poll_reset(cx));
            }
        };
        match frame.into_data() {
            Ok(mut data) => {
                let last = body.is_end_stream();
                let data = data.copy_to_bytes(data.remaining());
                declared
                    .send(data.len())
                    .map_err(|lie| lied(lie, context))?;
                if last {
                    declared.end().map_err(|lie| lied(lie, context))?;
                }
                *outgoing = Some(Outgoing::new(data, last, context));
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    declared.end().map_err(|lie| lied(lie, context))?;
                    stream.send_trailers(trailers)?;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

fn report_panic(panic: Box<dyn Any + Send>, context: &ConnectionContext) {
    context.counters.handler_panics.add();
    tracing::error!(panic = panic_message(&*panic), "a handler panicked");
}
