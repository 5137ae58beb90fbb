//! The receiving half of a stream: a request's body.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;

use super::{error::EngineError, inbox::Inbox};

/// Yields data, then trailers. Without an inbox the request has no body.
pub(crate) struct RequestStream(Option<Arc<Inbox>>);

impl RequestStream {
    pub(super) fn new(inbox: Option<Arc<Inbox>>) -> Self {
        Self(inbox)
    }

    /// Whether nothing is left to take.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|inbox| inbox.is_end_stream())
    }

    /// The next data or trailers. Data that is taken opens the peer's window by its length (RFC 9113
    /// section 5.2).
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EngineError>>> {
        match &self.0 {
            Some(inbox) => inbox.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for RequestStream {
    fn drop(&mut self) {
        if let Some(inbox) = &self.0 {
            inbox.leave();
        }
    }
}
