//! The sending half of a stream: a response's head, then its body.

use std::{
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Buf;
use corelane_http2::{ErrorCode, StreamId};
use http::{HeaderMap, Response, StatusCode};

use super::{
    super::{PeerGone, ResetCode},
    error::EngineError,
    shared::Handle,
};

impl From<ResetCode> for ErrorCode {
    fn from(code: ResetCode) -> Self {
        match code {
            ResetCode::InternalError => Self::INTERNAL_ERROR,
            ResetCode::Cancel => Self::CANCEL,
        }
    }
}

/// One stream of a connection.
struct Stream<D> {
    shared: Handle<D>,
    id: StreamId,
}

impl<D: Buf> Stream<D> {
    fn reset(&self, code: ResetCode) {
        let mut shared = self.shared.borrow_mut();
        if shared.engine.reset(self.id, code.into()).is_ok() {
            let code = code.into();
            shared.reset(
                self.id,
                EngineError::Reset {
                    code,
                    by_peer: false,
                },
            );
            shared.notify();
        }
    }

    fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut shared = self.shared.borrow_mut();
        if !shared.engine.is_open(self.id) {
            return Poll::Ready(());
        }
        shared.wait(self.id, cx);
        Poll::Pending
    }
}

/// Sends the head of one response. The stream ends with it: one that is not complete is reset.
pub(crate) struct ResponseSender<D: Buf>(Stream<D>);

impl<D: Buf> ResponseSender<D> {
    pub(super) fn new(shared: Handle<D>, id: StreamId) -> Self {
        Self(Stream { shared, id })
    }

    /// Sends `100 Continue` (RFC 9110 section 15.2.1).
    pub(crate) fn send_continue(&mut self) -> Result<(), EngineError> {
        let mut shared = self.0.shared.borrow_mut();
        let fields = HeaderMap::new();
        let sent = shared
            .engine
            .informational(self.0.id, StatusCode::CONTINUE, &fields);
        shared.notify();
        sent.map_err(EngineError::Command)
    }

    /// Queues the head. If HTTP/2 forbids one of its headers, that is an error and the stream stays
    /// open.
    pub(crate) fn send_head(
        &mut self,
        head: Response<()>,
        end_of_stream: bool,
    ) -> Result<BodySender<D>, EngineError> {
        let mut shared = self.0.shared.borrow_mut();
        let sent = shared
            .engine
            .respond(self.0.id, head.status(), head.headers(), end_of_stream);
        sent.map_err(EngineError::Command)?;
        shared.notify();
        drop(shared);
        Ok(BodySender(Stream {
            shared: Rc::clone(&self.0.shared),
            id: self.0.id,
        }))
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        self.0.reset(code);
    }

    /// Ready when the peer has reset the stream, or the connection has failed. Call it before the response ends.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_closed(cx)
    }
}

impl<D: Buf> Drop for ResponseSender<D> {
    fn drop(&mut self) {
        self.0.shared.borrow_mut().sender_gone(self.0.id);
    }
}

/// Sends the body of one response. Its [`ResponseSender`] has to outlive it.
pub(crate) struct BodySender<D: Buf>(Stream<D>);

impl<D: Buf> BodySender<D> {
    /// Ready with how many bytes may be sent now, `wanted` at most. Never ready with 0.
    pub(crate) fn poll_window(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, PeerGone>> {
        let mut shared = self.0.shared.borrow_mut();
        let capacity = shared.engine.capacity(self.0.id);
        if capacity > 0 {
            return Poll::Ready(Ok(capacity.min(wanted)));
        }
        if !shared.engine.is_open(self.0.id) {
            return Poll::Ready(Err(PeerGone));
        }
        shared.wait(self.0.id, cx);
        Poll::Pending
    }

    /// Whether [`poll_window`](Self::poll_window) waits until data is written that has its window, not for the peer.
    /// Then the task is woken when that has happened.
    pub(crate) fn waits_for_transport(&self) -> bool {
        self.0.shared.borrow_mut().waits_for_transport(self.0.id)
    }

    /// Queues data, which [`poll_window`](Self::poll_window) has granted.
    pub(crate) fn send_data(&mut self, mut data: D, end_of_stream: bool) -> Result<(), PeerGone> {
        let mut shared = self.0.shared.borrow_mut();
        let bytes = data.copy_to_bytes(data.remaining());
        let sent = shared.engine.send_data(self.0.id, bytes, end_of_stream);
        sent.map_err(|_error| PeerGone)?;
        if shared.engine.queued(self.0.id) > 0 {
            shared.keep(self.0.id, data);
        }
        shared.notify();
        Ok(())
    }

    /// Queues trailers and ends the stream. If HTTP/2 forbids one of them, that is an error and the
    /// stream stays open.
    pub(crate) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), EngineError> {
        let mut shared = self.0.shared.borrow_mut();
        let sent = shared.engine.send_trailers(self.0.id, trailers);
        shared.notify();
        sent.map_err(EngineError::Command)
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        self.0.reset(code);
    }

    /// Ready when the peer has reset the stream, or the connection has failed. Call it before the response ends.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_closed(cx)
    }
}
