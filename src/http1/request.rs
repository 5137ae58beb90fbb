//! One request: from hyper to the service, until the service has answered.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use http::{Method, Request, Response, StatusCode, Version, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, service::Service, upgrade::OnUpgrade};
use pin_project_lite::pin_project;

use super::{
    context::{ConnectionContext, RequestBody, Unanswered},
    response::{self, Pending, ResponseBody},
    upgrade, validate,
};
use crate::{
    body::{Body, IncomingBody, Source},
    response::Failure,
    service::HttpService,
    upgrade::Offer,
};

/// The service as hyper calls it.
pub(super) struct RequestService<S> {
    service: S,
    context: Rc<ConnectionContext>,
}

impl<S> RequestService<S> {
    pub(super) fn new(service: S, context: Rc<ConnectionContext>) -> Self {
        Self { service, context }
    }
}

impl<S: HttpService> Service<Request<Incoming>> for RequestService<S> {
    type Response = Response<ResponseBody<S::ResponseBody>>;
    type Error = PeerGone;
    type Future = RequestTask<S>;

    fn call(&self, request: Request<Incoming>) -> RequestTask<S> {
        let context = &self.context;
        if !context.is_certain_of_request() {
            return RequestTask::new(context, false, State::Dropped);
        }
        context.request_begins();
        let (mut head, incoming) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        context.is_http10.set(head.version == Version::HTTP_10);
        if let Err(status) = validate::check(&mut head, context.upgrades) {
            context.counters.requests_malformed.add();
            // Nothing reads its body.
            context.unusable.set(true);
            return RequestTask::new(context, is_head, State::Refused { status });
        }
        context.counters.requests_http1.add();
        context.counters.requests.add();
        // It is of the connection, which hyper would not hand over.
        head.extensions.remove::<OnUpgrade>();
        let receive = |source, head: &Parts| {
            Body::receive(source, &head.headers, &context.body_limits, &context.info)
        };
        let (body, offer) = if incoming.is_end_stream() {
            let (body, _) = receive(Source::Empty, &head);
            (body, upgrade::offer(&mut head, context))
        } else {
            let (incoming, progress) = IncomingBody::new(incoming);
            let (body, monitor) = receive(Source::Http1(Box::new(incoming)), &head);
            *context.body.borrow_mut() = monitor.map(|monitor| RequestBody { monitor, progress });
            (body, None)
        };
        let request = Request::from_parts(head, body);
        let call = AssertUnwindSafe(|| self.call_service(request));
        let state = catch_unwind(call).unwrap_or_else(|panic| {
            let failure = Failure::panicked(&*panic, &context.counters);
            State::Failed { failure }
        });
        let mut task = RequestTask::new(context, is_head, state);
        task.offer = offer;
        task
    }
}

impl<S: HttpService> RequestService<S> {
    /// Gives the request to the service at once if that is ready: each move of a request copies it.
    fn call_service(&self, request: Request<Body>) -> State<S> {
        let mut service = self.service.clone();
        // The task asks again, to be woken.
        let cx = &mut Context::from_waker(Waker::noop());
        if !self.context.is_body_too_large()
            && let Poll::Ready(Ok(())) = service.poll_ready(cx)
        {
            let answer = service.call(request);
            return State::Calling { answer };
        }
        State::Ready {
            service,
            request: Some(request),
        }
    }
}

/// The connection ends without a response: the client is gone, or what it sent is not certain to be a
/// request.
#[derive(Debug)]
pub(super) struct PeerGone;

impl fmt::Display for PeerGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is gone")
    }
}

impl std::error::Error for PeerGone {}

pin_project! {
    /// Ready with the response. Catches panics of the service.
    pub(super) struct RequestTask<S: HttpService> {
        context: Rc<ConnectionContext>,
        is_head: bool,
        // `None` if the request cannot be upgraded.
        offer: Option<Offer>,
        // `None` when the response has taken it over.
        pending: Option<Pending>,
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: HttpService> {
        /// The server answers with this status itself.
        Refused {
            status: StatusCode,
        },
        /// The service is asked whether it is ready.
        Ready {
            service: S,
            request: Option<Request<Body>>,
        },
        /// The service answers.
        Calling {
            #[pin]
            answer: S::Future,
        },
        /// The service has panicked when it was called.
        Failed {
            failure: Failure,
        },
        Answered,
        /// What looks like a request may be a part of the last one's body: it gets no response.
        Dropped,
    }
}

type Answer<S> = Result<Response<<S as HttpService>::ResponseBody>, Unanswered>;

impl<S: HttpService> RequestTask<S> {
    fn new(context: &Rc<ConnectionContext>, is_head: bool, state: State<S>) -> Self {
        let counts = !matches!(state, State::Refused { .. } | State::Dropped);
        Self {
            context: Rc::clone(context),
            is_head,
            offer: None,
            pending: Some(Pending::new(context, counts)),
            state,
        }
    }
}

impl<S: HttpService> Future for RequestTask<S> {
    type Output = Result<Response<ResponseBody<S::ResponseBody>>, PeerGone>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Refused { status } = self.state {
            return Poll::Ready(Ok(self.refuse(status)));
        }
        if let State::Dropped = self.state {
            return Poll::Ready(Err(PeerGone));
        }
        let response = catch_unwind(AssertUnwindSafe(|| {
            let answer = self.as_mut().poll_answer(cx);
            answer.map(|answer| Ok(self.as_mut().respond(answer?)?))
        }));
        let unanswered = match response {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => return Poll::Ready(Ok(response)),
            Ok(Poll::Ready(Err(unanswered))) => unanswered,
            Err(panic) => Failure::panicked(&*panic, &self.context.counters).into(),
        };
        Poll::Ready(self.fail(unanswered))
    }
}

impl<S: HttpService> RequestTask<S> {
    /// Ready when the service has answered, or cannot.
    fn poll_answer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<S>> {
        loop {
            let mut this = self.as_mut().project();
            let context = &**this.context;
            match this.state.as_mut().project() {
                StateProjection::Ready { service, request } => {
                    if context.is_body_too_large() {
                        return Poll::Ready(Err(Failure::BodyTooLarge.into()));
                    }
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => {
                            let gone = context.is_body_cut_off();
                            let failure = Failure::of_handler(error, gone, &context.counters);
                            return Poll::Ready(Err(failure.into()));
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                    // Always `Some`: only this line takes it, and the state ends here.
                    let Some(request) = request.take() else {
                        return Poll::Ready(Err(Failure::Handler.into()));
                    };
                    let answer = service.call(request);
                    this.state.set(State::Calling { answer });
                }
                StateProjection::Calling { answer } => {
                    let answer = answer.poll(cx);
                    // The limits apply even if the handler ignores the error of its body.
                    if let Err(failure) = context.check_body(cx) {
                        return Poll::Ready(Err(failure));
                    }
                    return answer.map(|answer| {
                        answer.map_err(|error| {
                            let gone = context.is_body_cut_off();
                            Failure::of_handler(error, gone, &context.counters).into()
                        })
                    });
                }
                StateProjection::Failed { failure } => {
                    return Poll::Ready(Err((*failure).into()));
                }
                _ => return Poll::Pending,
            }
        }
    }

    fn respond(
        self: Pin<&mut Self>,
        response: Response<S::ResponseBody>,
    ) -> Result<Response<ResponseBody<S::ResponseBody>>, Failure> {
        let mut this = self.project();
        if let Some(offer) = this.offer.take()
            && let Some(tunnel) = offer.accept(response.status())
        {
            *this.context.tunnel.borrow_mut() = Some(tunnel);
            let head = upgrade::accepted(response.into_parts().0, this.context);
            this.state.set(State::Answered);
            let body = ResponseBody::empty(this.pending.take());
            return Ok(head.map(|()| body));
        }
        let response = response::complete(response, *this.is_head, this.context)?;
        this.state.set(State::Answered);
        Ok(response.map(|checked| checked.into_body(this.pending.take())))
    }

    /// Answers in place of the handler.
    fn fail(
        self: Pin<&mut Self>,
        unanswered: Unanswered,
    ) -> Result<Response<ResponseBody<S::ResponseBody>>, PeerGone> {
        let mut this = self.project();
        let context = &**this.context;
        let counters = &context.counters;
        let status = match unanswered {
            Unanswered::Failure(Failure::BodyTooLarge) => {
                counters.request_bodies_too_large.add();
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Unanswered::Failure(Failure::BodyTooSlow) => {
                counters.bodies_timed_out.add();
                tracing::debug!(limit = ?context.limits.body, "request body timed out");
                StatusCode::REQUEST_TIMEOUT
            }
            Unanswered::BodyMalformed => {
                counters.requests_malformed.add();
                StatusCode::BAD_REQUEST
            }
            Unanswered::Failure(Failure::Handler) => {
                if let Some(pending) = this.pending {
                    pending.failed();
                }
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Unanswered::Failure(Failure::PeerGone | Failure::Stalled) => {
                this.state.set(State::Answered);
                return Err(PeerGone);
            }
        };
        context.reject_body(status);
        // Drops the handler.
        this.state.set(State::Answered);
        let body = ResponseBody::empty(this.pending.take());
        Ok(response::own(status, context).map(|()| body))
    }

    fn refuse(self: Pin<&mut Self>, status: StatusCode) -> Response<ResponseBody<S::ResponseBody>> {
        let mut this = self.project();
        this.state.set(State::Answered);
        let body = ResponseBody::empty(this.pending.take());
        response::own(status, this.context).map(|()| body)
    }
}
