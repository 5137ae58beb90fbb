//! The body of a file.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use corelane::Error;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tower_http::services::fs::ServeFileSystemResponseBody;

/// A response of `ServeDir`.
pub(super) type FileResponse = Response<ServeFileSystemResponseBody>;

/// A body of known length, so that its last data ends the stream without a frame of its own.
pub(super) struct FileBody {
    body: ServeFileSystemResponseBody,
    left: u64,
}

impl FileBody {
    /// `length` does not count for a response without a body, such as that to HEAD.
    pub(super) fn new(body: ServeFileSystemResponseBody, length: u64) -> Self {
        let left = if body.is_end_stream() { 0 } else { length };
        Self { body, left }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.left = self.left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
