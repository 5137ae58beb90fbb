//! One request: from the call of the service to the last byte of its response.

mod finish;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;

use super::{
    answer,
    connect::{self, Offered},
    context::ConnectionContext,
    cookie, headers,
    held_end::HeldEnd,
    send_body::{SendBody, Sent},
    send_buffer::Chunk,
    tunnel::Tunnel,
};
use crate::{
    body::{Body, BodyEvent, BodyMonitor, Source},
    http2_engine::{Incoming, ResponseSender},
    response::{Failure, may_have_body},
    service::HttpService,
};

pin_project! {
    /// Answers one request. Ready when its stream may be dropped. Catches panics of the service.
    ///
    /// A state machine written by hand: an `async fn` would hold each of its values two or three
    /// times, and there is one of these for every request in flight.
    pub(super) struct RequestTask<S: HttpService> {
        context: Rc<ConnectionContext>,
        respond: ResponseSender<Chunk>,
        is_head: bool,
        arrived: Instant,
        // `None` for a request that cannot be upgraded.
        upgrade: Option<Offered>,
        // `None` for a request without a body.
        monitor: Option<Box<BodyMonitor>>,
        // Whether the end of the request was counted.
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
    #[project_replace = OwnedState]
    enum State<S: HttpService> {
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
        /// The response's head is sent.
        SendingBody {
            send: SendBody,
            #[pin]
            body: S::ResponseBody,
        },
        /// The response is sent but for its end, which waits until the request's body is drained.
        /// The service and the response's body are dropped.
        Ending {
            end: HeldEnd,
        },
        /// The response is sent, and the stream is upgraded.
        Tunneling {
            tunnel: Tunnel,
        },
        /// The response is sent, and the rest of the request's body is drained.
        Draining,
    }
}

impl<S: HttpService> RequestTask<S> {
    pub(super) fn new(
        service: S,
        incoming: Incoming<Chunk>,
        context: Rc<ConnectionContext>,
    ) -> Self {
        let (mut head, stream, respond) = incoming.into_parts();
        cookie::join(&mut head.headers);
        let is_head = head.method == Method::HEAD;
        let (body, monitor) = Body::receive(
            Source::Http2(stream),
            &head.headers,
            &context.body_limits,
            &context.info,
        );
        if monitor
            .as_ref()
            .is_some_and(|monitor| monitor.is_grpc_call())
        {
            context.wants_pings.set(true);
        }
        Self {
            arrived: context.clock.arrival(),
            context,
            respond,
            is_head,
            upgrade: None,
            monitor,
            counted: false,
            state: State::Ready {
                service,
                request: Some(Request::from_parts(head, body)),
            },
        }
    }
}

impl<S: HttpService> Future for RequestTask<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.context.input_ended.get()
            && let Some(monitor) = &self.monitor
        {
            monitor.end_input();
        }
        if !self.counted {
            let result = match catch_unwind(AssertUnwindSafe(|| self.as_mut().poll_response(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(result)) => result,
                Err(panic) => Err(Failure::panicked(&*panic, &self.context.counters)),
            };
            if !self.as_mut().finish(result) {
                return Poll::Ready(());
            }
        }
        let this = self.project();
        if let StateProjection::Tunneling { tunnel } = this.state.project() {
            return tunnel.poll(this.context, cx);
        }
        match this.monitor {
            Some(monitor) => monitor.poll_drained(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<S: HttpService> RequestTask<S> {
    /// Ready when the response is queued to its end, or cannot be.
    fn poll_response(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                StateProjection::Ready { service, request } => {
                    if is_too_large(this.monitor) {
                        return Poll::Ready(Err(Failure::BodyTooLarge));
                    }
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => {
                            let gone = is_gone(this.respond, this.monitor, cx);
                            let counters = &this.context.counters;
                            return Poll::Ready(Err(Failure::of_handler(error, gone, counters)));
                        }
                        Poll::Pending => return poll_gone(this.respond, cx),
                    }
                    if let Some(request) = request
                        && request.method() == Method::CONNECT
                    {
                        match connect::offer(request, this.context) {
                            Ok(offered) => *this.upgrade = Some(offered),
                            Err(status) => {
                                let refused = answer::refused(status);
                                answer::send(this.respond, refused, &this.context.counters);
                                return Poll::Ready(Ok(()));
                            }
                        }
                    }
                    // Always `Some`: only this line takes it, and the state ends here.
                    let Some(request) = request.take() else {
                        return Poll::Ready(Err(Failure::Handler));
                    };
                    let answer = service.call(request);
                    this.state.set(State::Calling { answer });
                }
                StateProjection::Calling { answer } => match answer.poll(cx) {
                    // The limit applies even if the handler ignores the error of its body.
                    _ if is_too_large(this.monitor) => {
                        if let Some(monitor) = this.monitor {
                            let call = monitor.is_grpc_call();
                            monitor.reject(answer::too_large(call).status());
                        }
                        return Poll::Ready(Err(Failure::BodyTooLarge));
                    }
                    Poll::Ready(Ok(response)) => {
                        if !self.as_mut().send_head(response, cx)? {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Err(error)) => {
                        let gone = is_gone(this.respond, this.monitor, cx);
                        let counters = &this.context.counters;
                        return Poll::Ready(Err(Failure::of_handler(error, gone, counters)));
                    }
                    Poll::Pending => return self.poll_waiting(cx),
                },
                StateProjection::SendingBody { send, body } => {
                    let monitor = this.monitor.as_deref_mut();
                    let sent = match send.poll(body, monitor, this.context, cx) {
                        Poll::Ready(sent) => sent?,
                        Poll::Pending => {
                            if let Some(monitor) = this.monitor {
                                monitor.drain(cx);
                            }
                            return Poll::Pending;
                        }
                    };
                    let Sent::UpToEnd(trailers) = sent else {
                        return Poll::Ready(Ok(()));
                    };
                    if let OwnedState::SendingBody { send, .. } =
                        this.state.as_mut().project_replace(State::Draining)
                    {
                        let end = send.into_end(trailers);
                        this.state.set(State::Ending { end });
                    }
                }
                StateProjection::Ending { end } => {
                    if end.poll_closed(this.respond, cx).is_ready() {
                        return Poll::Ready(Err(Failure::PeerGone));
                    }
                    if let Some(monitor) = this.monitor {
                        ready!(monitor.poll_end(cx));
                    }
                    if let OwnedState::Ending { end } =
                        this.state.as_mut().project_replace(State::Draining)
                    {
                        end.send(this.respond, &this.context.counters)?;
                    }
                }
                StateProjection::Tunneling { .. } | StateProjection::Draining => {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// While the handler runs: drives the request's body, and notices if the peer is gone.
    fn poll_waiting(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let this = self.project();
        if let Some(monitor) = this.monitor {
            while let Poll::Ready(event) = monitor.poll_event(cx) {
                match event {
                    BodyEvent::WantsContinue => {
                        let sent = this.respond.send_continue();
                        sent.map_err(|_error| Failure::PeerGone)?;
                    }
                    BodyEvent::TooSlow => {
                        monitor.reject(StatusCode::REQUEST_TIMEOUT);
                        return Poll::Ready(Err(Failure::BodyTooSlow));
                    }
                }
            }
        }
        poll_gone(this.respond, cx)
    }

    /// Sends the response's head, or holds it if it ends the response. Returns whether more follows.
    fn send_head(
        self: Pin<&mut Self>,
        response: Response<S::ResponseBody>,
        cx: &mut Context<'_>,
    ) -> Result<bool, Failure> {
        let mut this = self.project();
        let context = &**this.context;
        let malformed = |why| Failure::malformed(why, &context.counters);
        let (mut head, body) = response.into_parts();
        if let Some(offered) = this.upgrade.take()
            && let Some(accepted) = offered.accept(head.status)
        {
            let tunnel = accepted.send_head(head, this.respond, context, cx)?;
            *this.monitor = None;
            this.state.set(State::Tunneling { tunnel });
            return Ok(false);
        }
        if head.status.is_informational() {
            return Err(malformed("an informational status"));
        }
        let may_have_body = !*this.is_head && may_have_body(head.status);
        let has_body = may_have_body && !body.is_end_stream();
        let declared = headers::complete(
            &mut head.headers,
            head.status,
            *this.is_head,
            &body,
            &context.content_length,
        );
        let declared = declared.map_err(malformed)?;
        if may_have_body && !has_body {
            declared.end().map_err(malformed)?;
        }
        // A client that is told an error stops to send by itself.
        let may_hold_end = head.status.is_success();
        let status = head.status;
        let head = Response::from_parts(head, ());
        if !has_body
            && may_hold_end
            && let Some(monitor) = this.monitor
            && monitor.holds_end()
        {
            let end = HeldEnd::Head(Box::new(head));
            this.state.set(State::Ending { end });
            return Ok(true);
        }
        let sent = this.respond.send_head(head, !has_body);
        let stream = sent.map_err(|error| {
            let gone = this.respond.poll_closed(cx).is_ready();
            Failure::not_sent(&error, gone, &context.counters)
        })?;
        context.counters.response(status.as_u16());
        if has_body {
            let send = SendBody::new(stream, declared, may_hold_end, context);
            this.state.set(State::SendingBody { send, body });
        }
        Ok(has_body)
    }
}

fn is_too_large(monitor: &Option<Box<BodyMonitor>>) -> bool {
    monitor
        .as_ref()
        .is_some_and(|monitor| monitor.is_too_large())
}

/// Whether the handler may have failed because the peer is gone.
fn is_gone(
    respond: &mut ResponseSender<Chunk>,
    monitor: &Option<Box<BodyMonitor>>,
    cx: &mut Context<'_>,
) -> bool {
    let is_cut_off = monitor.as_ref().is_some_and(|monitor| monitor.is_cut_off());
    is_cut_off || respond.poll_closed(cx).is_ready()
}

/// Ready when the peer has reset the stream, or the connection has failed.
fn poll_gone(
    respond: &mut ResponseSender<Chunk>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    respond.poll_closed(cx).map(|()| Err(Failure::PeerGone))
}
