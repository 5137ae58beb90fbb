//! A response: its head as HTTP/1.1 wants it, and its body on the way to hyper.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf, Bytes};
use http::{
    HeaderValue, Response, StatusCode, Version,
    header::{ALLOW, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::context::ConnectionContext;
use crate::{
    error::BoxError,
    response::{DeclaredLength, Failure, may_have_body, remove_framing},
};

/// A response's body whose head was checked. `None`: the response has none.
pub(super) struct Checked<B> {
    body: Option<B>,
    declared: DeclaredLength,
    size: SizeHint,
}

/// Checks and completes the head of a handler's response. hyper adds `date` and the framing.
pub(super) fn complete<B: Body>(
    response: Response<B>,
    is_head: bool,
    context: &ConnectionContext,
) -> Result<Response<Checked<B>>, Failure> {
    let malformed = |why| Failure::malformed(why, &context.counters);
    let (mut head, body) = response.into_parts();
    if head.status.is_informational() {
        return Err(malformed("an informational status"));
    }
    // hyper adapts it to the request's version, and panics at versions that it does not know.
    head.version = Version::HTTP_11;
    // Compares names instead of looking them up, which hashes: there are few fields.
    let (mut has_length, mut has_coding) = (false, false);
    for name in head.headers.keys() {
        has_length |= *name == CONTENT_LENGTH;
        has_coding |= *name == TRANSFER_ENCODING;
    }
    if has_coding {
        head.headers.remove(TRANSFER_ENCODING);
    }
    let size = body.size_hint();
    let may_have_body = may_have_body(head.status);
    let mut declared = DeclaredLength::default();
    if has_length {
        declared = DeclaredLength::of(&head.headers).map_err(malformed)?;
        if may_have_body
            && !is_head
            && let Some(exact) = size.exact()
        {
            // Before the head is sent, so that the client learns of it.
            let length = usize::try_from(exact).unwrap_or(usize::MAX);
            let mut left = declared;
            left.send(length)
                .and_then(|()| left.end())
                .map_err(malformed)?;
        }
    } else if may_have_body && let Some(exact) = size.exact() {
        declared = DeclaredLength::exactly(exact);
        // For HEAD, 0 usually means that the service left the body out.
        if is_head && exact > 0 {
            head.headers.insert(CONTENT_LENGTH, exact.into());
        }
    }
    // The end of the connection also ends such a body (RFC 9112 section 6.3).
    let has_length = has_length || size.exact().is_some();
    let has_body = may_have_body && !is_head && !body.is_end_stream();
    let ends_by_close = context.is_http10.get() && has_body && !has_length;
    context.has_open_end.set(ends_by_close);
    if ends_by_close || context.ends_connection() {
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("close"));
        head.version = version_of_last(context);
    }
    context.counters.response(head.status.as_u16());
    let checked = Checked {
        body: has_body.then_some(body),
        declared,
        size,
    };
    Ok(Response::from_parts(head, checked))
}

/// The version of a response that ends the connection: hyper adds `keep-alive` to one of HTTP/1.1 if the
/// client of HTTP/1.0 asks for it.
fn version_of_last(context: &ConnectionContext) -> Version {
    match context.is_http10.get() {
        true => Version::HTTP_10,
        false => Version::HTTP_11,
    }
}

/// The head of a response of the server itself, which ends the connection.
pub(super) fn own(status: StatusCode, context: &ConnectionContext) -> Response<()> {
    context.counters.response(status.as_u16());
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version_of_last(context);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6 requires it; no method applies to the target of CONNECT.
        headers.insert(ALLOW, HeaderValue::from_static(""));
    }
    response
}

/// A request whose response is not complete. Counts how it ends.
pub(super) struct Pending {
    context: Rc<ConnectionContext>,
    arrived: Instant,
    /// Whether the end was counted, or the request does not count.
    counted: bool,
}

impl Pending {
    pub(super) fn new(context: &Rc<ConnectionContext>, counts: bool) -> Self {
        Self {
            context: Rc::clone(context),
            arrived: (context.timer.now)(),
            counted: !counts,
        }
    }

    /// The handler has failed, which was counted.
    pub(super) fn failed(&mut self) {
        self.counted = true;
    }

    /// hyper has the complete response.
    fn answered(mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            let counters = &self.context.counters;
            let now = (self.context.timer.now)();
            counters.request_durations.add(self.arrived, now);
            counters.requests_answered.add();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.counted {
            self.context.counters.requests_abandoned.add();
        }
        self.context.in_flight.set(false);
    }
}

pin_project! {
    /// The body as hyper takes it: with the declared length or an error. Catches panics.
    pub(super) struct ResponseBody<B> {
        #[pin]
        body: Option<B>,
        declared: DeclaredLength,
        size: SizeHint,
        pending: Option<Pending>,
    }
}

impl<B> Checked<B> {
    pub(super) fn into_body(self, pending: Option<Pending>) -> ResponseBody<B> {
        match self.body {
            Some(body) => ResponseBody {
                body: Some(body),
                declared: self.declared,
                size: self.size,
                pending,
            },
            None => ResponseBody::empty(pending),
        }
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn empty(pending: Option<Pending>) -> Self {
        if let Some(pending) = pending {
            pending.answered();
        }
        Self {
            body: None,
            declared: DeclaredLength::default(),
            size: SizeHint::with_exact(0),
            pending: None,
        }
    }
}

impl<B: Body<Error: Into<BoxError>>> ResponseBody<B> {
    fn poll_checked(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        context: &ConnectionContext,
    ) -> Poll<Result<Option<Frame<Bytes>>, Failure>> {
        let mut this = self.project();
        let malformed = |why| Failure::malformed(why, &context.counters);
        let Some(mut body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(Ok(None));
        };
        loop {
            let frame = match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let gone = context.is_body_cut_off();
                    let failure = Failure::of_handler(error, gone, &context.counters);
                    return Poll::Ready(Err(failure));
                }
                None => {
                    this.declared.end().map_err(malformed)?;
                    this.body.set(None);
                    return Poll::Ready(Ok(None));
                }
            };
            match frame.into_data() {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    this.declared.send(data.len()).map_err(malformed)?;
                    *this.size = body.size_hint();
                    if body.is_end_stream() {
                        this.declared.end().map_err(malformed)?;
                        this.body.set(None);
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Err(frame) => {
                    if let Ok(mut trailers) = frame.into_trailers() {
                        this.declared.end().map_err(malformed)?;
                        remove_framing(&mut trailers);
                        this.body.set(None);
                        return Poll::Ready(Ok(Some(Frame::trailers(trailers))));
                    }
                }
            }
        }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let Some(pending) = &self.pending else {
            return Poll::Ready(None);
        };
        let context = Rc::clone(&pending.context);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            self.as_mut().poll_checked(cx, &context)
        }));
        let result = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => Err(Failure::panicked(&*panic, &context.counters)),
        };
        let this = self.project();
        Poll::Ready(match result {
            Ok(frame) => {
                if this.body.is_none()
                    && let Some(pending) = this.pending.take()
                {
                    pending.answered();
                }
                frame.map(Ok)
            }
            Err(failure) => {
                if failure == Failure::Handler {
                    context.response_failed.set(true);
                    if let Some(pending) = this.pending {
                        pending.failed();
                    }
                }
                Some(Err(Aborted))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(_) => self.size,
            None => SizeHint::with_exact(0),
        }
    }
}

/// The response's body has failed, which was logged: hyper ends the connection without its end.
#[derive(Debug)]
pub(super) struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response was not completed")
    }
}

impl std::error::Error for Aborted {}
