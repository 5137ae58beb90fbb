//! One request: from the service's call to the last byte of its response.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Buf;
use futures_util::FutureExt;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HeaderName, TE, TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body::{Body as _, Frame};

use super::{
    body::Body,
    connection::Scope,
    date,
    send::{Chunk, Stopped, send_data},
};
use crate::{
    error::{BoxError, Chain},
    service::HttpService,
};

/// Answers one request. Whatever the service does, its panics included, ends here.
pub(super) fn respond<S: HttpService>(
    service: S,
    request: Request<RecvStream>,
    respond: SendResponse<Chunk>,
    scope: Rc<Scope>,
) -> impl Future<Output = ()> {
    let counted = Rc::clone(&scope);
    // Panics of the service and of `poll_frame` are answered where they happen. This is for what
    // else is the service's code, as a body's `size_hint`: h2 resets the stream that is dropped.
    let answer = AssertUnwindSafe(answer(service, request, respond, scope)).catch_unwind();
    answer.map(move |result| {
        if let Err(panic) = result {
            report_panic(panic, &counted);
        }
    })
}

async fn answer<S: HttpService>(
    service: S,
    request: Request<RecvStream>,
    mut respond: SendResponse<Chunk>,
    scope: Rc<Scope>,
) {
    let is_head = request.method() == Method::HEAD;
    let response = match call(service, request, &mut respond, &scope).await {
        Called::Response(response) => response,
        Called::Failed => return respond.send_reset(Reason::INTERNAL_ERROR),
        Called::Gone => return,
    };
    let (mut head, body) = response.into_parts();
    if head.status.is_informational() {
        scope.counters.handler_errors.add();
        tracing::error!(status = %head.status, "a handler answered with an informational status");
        return respond.send_reset(Reason::INTERNAL_ERROR);
    }
    let has_body = !is_head && may_have_body(head.status) && !body.is_end_stream();
    complete_headers(&mut head.headers, head.status, is_head, &body);
    let mut stream = match respond.send_response(Response::from_parts(head, ()), !has_body) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(error = %Chain(&error), "a response could not be sent");
            return;
        }
    };
    if !has_body {
        return;
    }
    match send_body(&mut stream, body, &scope).await {
        Ok(()) | Err(Ended::Stopped(Stopped::Gone)) => {}
        Err(Ended::Failed) => stream.send_reset(Reason::INTERNAL_ERROR),
        Err(Ended::Stopped(Stopped::Stalled)) => {
            scope.counters.streams_stalled.add();
            tracing::debug!(limit = ?scope.limits.write, "a peer granted a stream no window");
            stream.send_reset(Reason::CANCEL);
        }
    }
}

enum Called<B> {
    Response(Response<B>),
    /// The service failed or panicked.
    Failed,
    /// The peer reset the stream, or the connection ended.
    Gone,
}

async fn call<S: HttpService>(
    mut service: S,
    request: Request<RecvStream>,
    respond: &mut SendResponse<Chunk>,
    scope: &Scope,
) -> Called<S::ResponseBody> {
    let (request, mut on_body_polled) = with_body(request, scope);
    let answer = async move {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(request).await
    };
    let mut answer = pin!(AssertUnwindSafe(answer).catch_unwind());
    poll_fn(|cx| {
        if let Poll::Ready(result) = answer.as_mut().poll(cx) {
            return Poll::Ready(match result {
                Ok(Ok(response)) => Called::Response(response),
                Ok(Err(error)) => {
                    report_error(error.into(), scope);
                    Called::Failed
                }
                Err(panic) => {
                    report_panic(panic, scope);
                    Called::Failed
                }
            });
        }
        if let Some(polled) = &mut on_body_polled
            && let Poll::Ready(polled) = polled.poll_unpin(cx)
        {
            on_body_polled = None;
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            if polled.is_ok() && respond.send_informational(go_on).is_err() {
                return Poll::Ready(Called::Gone);
            }
        }
        respond.poll_reset(cx).map(|_reason| Called::Gone)
    })
    .await
}

type BodyPolled = futures_channel::oneshot::Receiver<()>;

/// Gives the request its body, and whoever waits for `100 Continue` a sign when it is polled (RFC
/// 9110 section 10.1.1).
fn with_body(request: Request<RecvStream>, scope: &Scope) -> (Request<Body>, Option<BodyPolled>) {
    let (head, recv) = request.into_parts();
    let content_length = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let expects_continue = head
        .headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && !recv.is_end_stream();
    let (sender, receiver) = match expects_continue {
        true => {
            let (sender, receiver) = futures_channel::oneshot::channel();
            (Some(sender), Some(receiver))
        }
        false => (None, None),
    };
    let body = Body::new(recv, content_length, sender, Arc::clone(&scope.info));
    (Request::from_parts(head, body), receiver)
}

enum Ended {
    Stopped(Stopped),
    /// The body failed or panicked.
    Failed,
}

async fn send_body<B>(stream: &mut SendStream<Chunk>, body: B, scope: &Scope) -> Result<(), Ended>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    loop {
        let frame = poll_fn(|cx| match poll_frame(body.as_mut(), cx, scope) {
            Poll::Pending => stream
                .poll_reset(cx)
                .map(|_reason| Err(Ended::Stopped(Stopped::Gone))),
            ready => ready,
        })
        .await?;
        let Some(frame) = frame else {
            return send_data(stream, bytes::Bytes::new(), true, scope)
                .await
                .map_err(Ended::Stopped);
        };
        match frame.into_data() {
            Ok(mut data) => {
                let last = body.is_end_stream();
                let data = data.copy_to_bytes(data.remaining());
                send_data(stream, data, last, scope)
                    .await
                    .map_err(Ended::Stopped)?;
                if last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    let _ = stream.send_trailers(trailers);
                    return Ok(());
                }
            }
        }
    }
}

fn poll_frame<B>(
    body: Pin<&mut B>,
    cx: &mut Context<'_>,
    scope: &Scope,
) -> Poll<Result<Option<Frame<B::Data>>, Ended>>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Some(Err(error)))) => {
            report_error(error.into(), scope);
            Poll::Ready(Err(Ended::Failed))
        }
        Ok(Poll::Ready(Some(Ok(frame)))) => Poll::Ready(Ok(Some(frame))),
        Ok(Poll::Ready(None)) => Poll::Ready(Ok(None)),
        Err(panic) => {
            report_panic(panic, scope);
            Poll::Ready(Err(Ended::Failed))
        }
    }
}

/// RFC 9110 sections 15.3.5 and 15.4.5.
fn may_have_body(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Adds `date` and `content-length` where they are missing, and takes out what HTTP/2 forbids
/// (RFC 9113 section 8.2.2).
fn complete_headers(
    headers: &mut HeaderMap,
    status: StatusCode,
    is_head: bool,
    body: &impl http_body::Body,
) {
    const FORBIDDEN: [HeaderName; 6] = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        TRANSFER_ENCODING,
        UPGRADE,
        TE,
    ];
    // To look is cheaper than to remove what is hardly ever there.
    if headers.keys().any(|name| FORBIDDEN.contains(name)) {
        for name in FORBIDDEN {
            headers.remove(name);
        }
    }
    if may_have_body(status)
        && !headers.contains_key(CONTENT_LENGTH)
        && let Some(length) = body.size_hint().exact()
        // To HEAD, 0 usually means that the service left the body out, not that there is none.
        && (length > 0 || !is_head)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !headers.contains_key(DATE)
        && let Some(date) = date::now()
    {
        headers.insert(DATE, date);
    }
}

fn report_error(error: BoxError, scope: &Scope) {
    scope.counters.handler_errors.add();
    tracing::error!(error = %Chain(&*error), "a handler failed");
}

fn report_panic(panic: Box<dyn Any + Send>, scope: &Scope) {
    scope.counters.handler_panics.add();
    tracing::error!(panic = panic_message(&*panic), "a handler panicked");
}

/// What a panic said, where it said something.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a panic without a message"
    }
}
