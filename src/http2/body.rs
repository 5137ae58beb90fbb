//! The body of a request.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    arrival::{Arrival, Rejection},
    body_limit::BodyLimit,
};
use crate::{connection_info::ConnectionInfo, error::Error};

/// The body of a request, streamed: an [`http_body::Body`] with data and trailers.
///
/// Flow control follows consumption (RFC 9113 section 5.2): the peer may send more once data has
/// been taken from here, so a handler that does not read holds the peer back at
/// [`Http2Config::initial_stream_window_size`](crate::Http2Config::initial_stream_window_size).
/// A client that sent `expect: 100-continue` is told to go on when the body is first polled. What is
/// left when this is dropped is read and forgotten, so that the client gets to see its response.
pub struct Body {
    /// There until this is dropped.
    recv: Option<h2::RecvStream>,
    content_length: Option<u64>,
    wants_continue: Option<futures_channel::oneshot::Sender<()>>,
    data_done: bool,
    /// None where there is nothing to come.
    arrival: Option<Arrival>,
    limit: Option<BodyLimit>,
    connection: Arc<ConnectionInfo>,
}

impl Body {
    pub(super) fn new(
        recv: h2::RecvStream,
        content_length: Option<u64>,
        wants_continue: Option<futures_channel::oneshot::Sender<()>>,
        arrival: Option<Arrival>,
        limit: Option<BodyLimit>,
        connection: Arc<ConnectionInfo>,
    ) -> Self {
        Self {
            recv: Some(recv),
            content_length,
            wants_continue,
            data_done: false,
            arrival,
            limit,
            connection,
        }
    }

    /// Tells, also when this is gone, whether the server has answered the request itself.
    pub fn rejection(&self) -> Rejection {
        Rejection::of(self.arrival.as_ref())
    }

    /// The connection that the request came in on.
    pub fn connection(&self) -> &Arc<ConnectionInfo> {
        &self.connection
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
        let frame = this.poll_next(cx);
        if let Some(arrival) = &this.arrival {
            match &frame {
                Poll::Pending => arrival.waits(),
                Poll::Ready(Some(Ok(frame))) => {
                    arrival.received(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(Some(Err(_))) => arrival.failed(),
                Poll::Ready(None) => arrival.ended(),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.recv.as_ref().is_none_or(h2::RecvStream::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match self.content_length {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl Body {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(wants_continue) = self.wants_continue.take() {
            // The receiver is gone once the response has begun; then nobody waits for a 100.
            let _ = wants_continue.send(());
        }
        let Some(recv) = &mut self.recv else {
            return Poll::Ready(None);
        };
        if !self.data_done {
            match ready!(recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    recv.flow_control().release_capacity(data.len())?;
                    if let Some(limit) = &mut self.limit {
                        limit.take(data.len())?;
                    }
                    self.content_length = self
                        .content_length
                        .map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => self.data_done = true,
            }
        }
        let trailers = ready!(recv.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let (Some(arrival), Some(recv)) = (&self.arrival, self.recv.take()) {
            arrival.dropped(recv);
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}
