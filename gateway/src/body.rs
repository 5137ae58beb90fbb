//! The body of the responses of this crate.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::Error;
use http_body::{Body, Frame, SizeHint};

use crate::proxy::upstream_body::UpstreamBody;

/// The body of every response of this crate. It stays on the worker that answers: it is not `Send`.
pub struct ResponseBody(Kind);

enum Kind {
    Full(Bytes),
    Upstream(UpstreamBody),
    Boxed(Pin<Box<dyn Body<Data = Bytes, Error = Error>>>),
}

impl ResponseBody {
    /// A body of another type.
    pub fn new(body: impl Body<Data = Bytes, Error = Error> + 'static) -> Self {
        Self(Kind::Boxed(Box::pin(body)))
    }

    /// A body without data.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// A body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(bytes.into()))
    }
}

impl From<UpstreamBody> for ResponseBody {
    fn from(body: UpstreamBody) -> Self {
        Self(Kind::Upstream(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().0 {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Upstream(body) => Pin::new(body).poll_frame(cx),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Upstream(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Upstream(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
