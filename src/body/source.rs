//! The source of a body's frames.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

#[cfg(feature = "http1")]
use super::incoming::IncomingBody;
use crate::{error::Error, http2_engine::RequestStream};

/// One variant for each protocol. A variant yields frames, data before trailers, and updates the
/// peer's flow control. A protocol provides nothing else for its request bodies.
#[derive(Default)]
pub(crate) enum Source {
    #[default]
    Empty,
    Bytes(Bytes),
    Http2(RequestStream),
    /// Boxed, so that requests of HTTP/2 are not larger for it.
    #[cfg(feature = "http1")]
    Http1(Box<IncomingBody>),
    /// Its bytes arrive while it is polled for the first time.
    #[cfg(test)]
    Late(Bytes),
}

impl Source {
    /// Whether nothing is left to yield.
    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(_) => false,
            Self::Http2(stream) => stream.is_end_stream(),
            #[cfg(feature = "http1")]
            Self::Http1(incoming) => incoming.is_end_stream(),
            #[cfg(test)]
            Self::Late(_) => false,
        }
    }

    /// Whether the client may keep its side open for as long as it likes, because the two sides of a
    /// stream are independent.
    pub(super) fn is_stream(&self) -> bool {
        #[cfg(feature = "http1")]
        if let Self::Http1(_) = self {
            return false;
        }
        true
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Http2(stream) => stream
                .poll_frame(cx)
                .map(|frame| frame.map(|result| result.map_err(|error| error.into_error()))),
            #[cfg(feature = "http1")]
            Self::Http1(incoming) => incoming.poll_frame(cx),
            #[cfg(test)]
            Self::Late(bytes) => {
                *self = Self::Bytes(std::mem::take(bytes));
                Poll::Pending
            }
        }
    }
}
