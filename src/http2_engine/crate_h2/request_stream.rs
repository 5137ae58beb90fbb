//! The receiving half of a stream: a request's body.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use super::error::ProtocolError;

/// Yields data, then trailers.
pub(crate) struct RequestStream {
    stream: h2::RecvStream,
    data_ended: bool,
}

impl RequestStream {
    pub(super) fn new(stream: h2::RecvStream) -> Self {
        Self {
            stream,
            data_ended: false,
        }
    }

    /// Whether nothing is left to take.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    /// The next data or trailers. Data that is taken opens the peer's window by its length (RFC 9113
    /// section 5.2).
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ProtocolError>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let released = self.stream.flow_control().release_capacity(data.len());
                    let frame = released.map(|()| Frame::data(data));
                    return Poll::Ready(Some(frame.map_err(ProtocolError)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(ProtocolError(error)))),
                None => self.data_ended = true,
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            Err(error) => Some(Err(ProtocolError(error))),
        })
    }
}
