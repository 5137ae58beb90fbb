//! The body of a request, for every version of HTTP.

#[cfg(feature = "http1")]
mod incoming;
mod monitor;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, EXPECT, TE},
};
use http_body::{Frame, SizeHint};

#[cfg(feature = "http1")]
pub(crate) use self::incoming::{IncomingBody, Progress};
pub use self::state::Rejection;
use self::{monitor::Upload, state::BodyState};
pub(crate) use self::{
    monitor::{BodyEvent, BodyLimits, BodyMonitor},
    source::Source,
};
use crate::{
    connection_info::ConnectionInfo,
    error::{Error, Kind},
    grpc,
};

/// The body of a request, streamed: an [`http_body::Body`] with data and trailers.
///
/// Flow control follows consumption (RFC 9113 section 5.2): the peer may send more once data has
/// been taken from here, so a handler that does not read holds the peer back at
/// [`Http2Config::initial_stream_window_size`](crate::Http2Config::initial_stream_window_size). A
/// client that sent `expect: 100-continue` gets `100 Continue` when the body is first polled. When
/// the handler drops the body, the server drains the unread rest, so that the client sees its
/// response.
///
/// A body can also be made from bytes, to test a service without a socket:
///
/// ```
/// use std::convert::Infallible;
///
/// use corelane::{Body, service_fn};
/// use http::{Request, Response};
/// use tower_service::Service;
///
/// # futures_executor(async {
/// let mut service = service_fn(async |request: Request<Body>| {
///     let peer = request.body().connection().peer();
///     Ok::<_, Infallible>(Response::new(format!("hello, {peer}")))
/// });
/// let response = service.call(Request::new(Body::from("ping"))).await;
/// assert_eq!(response.expect("infallible").body(), "hello, 127.0.0.1:0");
/// # });
/// # fn futures_executor(future: impl Future<Output = ()>) {
/// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #     assert!(std::pin::pin!(future).poll(&mut cx).is_ready());
/// # }
/// ```
pub struct Body {
    source: Source,
    /// Bytes of the declared `content-length` that the handler has not read yet.
    content_length: Option<u64>,
    /// Bytes that the handler may still read; `u64::MAX` without a limit.
    limit_left: u64,
    /// The client waits for `100 Continue`, and the body was not polled yet.
    expects_continue: bool,
    /// `None` if no data can arrive.
    state: Option<Arc<BodyState>>,
    connection: Arc<ConnectionInfo>,
}

impl Body {
    /// A body without data, for tests.
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// Replaces what [`connection`](Self::connection) answers, for tests.
    #[must_use]
    pub fn with_connection(mut self, connection: impl Into<Arc<ConnectionInfo>>) -> Self {
        self.connection = connection.into();
        self
    }

    /// The connection that the request came in on. A body that was made from bytes answers
    /// [`ConnectionInfo::default`], unless [`with_connection`](Self::with_connection) was called.
    pub fn connection(&self) -> &Arc<ConnectionInfo> {
        &self.connection
    }

    /// Whether the server has answered the request itself. It stays valid after the body is dropped.
    pub fn rejection(&self) -> Rejection {
        Rejection::of(self.state.as_ref())
    }

    /// Makes the body of a request with these headers, and its monitor. `source` receives the data.
    pub(crate) fn receive(
        source: Source,
        headers: &HeaderMap,
        limits: &BodyLimits,
        connection: &Arc<ConnectionInfo>,
    ) -> (Self, Option<Box<BodyMonitor>>) {
        let mut body = Self {
            source,
            content_length: None,
            limit_left: u64::MAX,
            expects_continue: false,
            state: None,
            connection: Arc::clone(connection),
        };
        if body.source.is_end_stream() {
            body.source = Source::Empty;
            return (body, None);
        }
        let length = headers.get(CONTENT_LENGTH);
        body.content_length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        body.limit_left = limits.max_size.unwrap_or(u64::MAX);
        body.expects_continue = headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let too_large = body.content_length > Some(body.limit_left);
        let state = body.state.insert(Arc::new(BodyState::new(too_large)));
        let upload = match body.content_length {
            Some(length) => Upload::Declared(length),
            None if !body.source.is_stream() => Upload::Unknown,
            None if grpc::is_call(headers) => Upload::Call,
            None if headers.contains_key(TE) => Upload::Stream,
            None => Upload::Unknown,
        };
        let monitor = Box::new(BodyMonitor::new(
            Arc::clone(state),
            limits,
            upload,
            body.expects_continue,
        ));
        (body, Some(monitor))
    }

    /// Takes over what receives the data. The body is empty then.
    pub(crate) fn into_source(mut self) -> Source {
        std::mem::take(&mut self.source)
    }

    /// Counts data against the limit and the declared length.
    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = self.limit_left.checked_sub(length) else {
            self.limit_left = 0;
            if let Some(state) = &self.state {
                state.set_too_large();
            }
            let message = "the request body is larger than max_request_body_size";
            return Err(Error::new(Kind::BodyTooLarge, message));
        };
        self.limit_left = left;
        self.content_length = self.content_length.map(|left| left.saturating_sub(length));
        if let Some(state) = &self.state {
            state.received(length);
        }
        Ok(())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.expects_continue)
            && let Some(state) = &this.state
        {
            state.want_continue();
        }
        let mut polled = this.source.poll_frame(cx);
        if let Some(state) = &this.state {
            if polled.is_pending() && state.wait(cx.waker()) {
                // On another thread than the connection's: the last data may have arrived between
                // the poll and the end of the input.
                polled = this.source.poll_frame(cx);
                if polled.is_pending() {
                    state.set_cut_off();
                    return Poll::Ready(Some(Err(cut_off())));
                }
            }
            if polled.is_ready() {
                state.set_ready();
            }
        }
        Poll::Ready(match ready!(polled) {
            Some(Ok(frame)) => Some(this.count(&frame).map(|()| frame)),
            Some(Err(error)) => Some(Err(error)),
            None => {
                if let Some(state) = &this.state {
                    state.ended();
                }
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        let ended = self.source.is_end_stream();
        if ended && let Some(state) = &self.state {
            state.set_complete();
        }
        ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.content_length {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

fn cut_off() -> Error {
    let message = "the client closed the connection before the request body was complete";
    Error::new(Kind::Io, message).with_source(io::Error::from(io::ErrorKind::UnexpectedEof))
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            let rest = std::mem::take(&mut self.source);
            #[cfg(feature = "http1")]
            let rest = match rest {
                // To read it would tell the client to send it.
                Source::Http1(_) if self.expects_continue => Source::Empty,
                rest => rest,
            };
            state.leave(rest);
        }
    }
}

impl From<Bytes> for Body {
    /// For tests; a handler gets its body from a connection.
    fn from(bytes: Bytes) -> Self {
        Self {
            content_length: Some(bytes.len() as u64),
            source: match bytes.is_empty() {
                true => Source::Empty,
                false => Source::Bytes(bytes),
            },
            limit_left: u64::MAX,
            expects_continue: false,
            state: None,
            connection: Arc::default(),
        }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}
