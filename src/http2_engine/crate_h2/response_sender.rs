//! The sending half of a stream: a response's head, then its body.

use std::task::{Context, Poll};

use bytes::Buf;
use http::{HeaderMap, Response, StatusCode};

use super::{
    super::{PeerGone, ResetCode},
    error::ProtocolError,
};

impl From<ResetCode> for h2::Reason {
    fn from(code: ResetCode) -> Self {
        match code {
            ResetCode::InternalError => Self::INTERNAL_ERROR,
            ResetCode::Cancel => Self::CANCEL,
        }
    }
}

/// Sends the head of one response.
pub(crate) struct ResponseSender<D: Buf>(h2::server::SendResponse<D>);

impl<D: Buf> ResponseSender<D> {
    pub(super) fn new(respond: h2::server::SendResponse<D>) -> Self {
        Self(respond)
    }

    /// Sends `100 Continue` (RFC 9110 section 15.2.1).
    pub(crate) fn send_continue(&mut self) -> Result<(), ProtocolError> {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::CONTINUE;
        self.0.send_informational(head).map_err(ProtocolError)
    }

    /// Queues the head. If HTTP/2 forbids one of its headers, that is an error and the stream stays
    /// open.
    pub(crate) fn send_head(
        &mut self,
        head: Response<()>,
        end_of_stream: bool,
    ) -> Result<BodySender<D>, ProtocolError> {
        let stream = self.0.send_response(head, end_of_stream);
        stream.map(BodySender).map_err(ProtocolError)
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        self.0.send_reset(code.into());
    }

    /// Ready when the peer has reset the stream, or the connection has failed.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_reset(cx).map(|_reason| ())
    }
}

/// Sends the body of one response.
pub(crate) struct BodySender<D: Buf>(h2::SendStream<D>);

impl<D: Buf> BodySender<D> {
    /// Ready with how many bytes may be sent now, `wanted` at most. Never ready with 0.
    pub(crate) fn poll_window(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, PeerGone>> {
        self.0.reserve_capacity(wanted);
        loop {
            // `poll_capacity` reports changes only, so ask for the present capacity first.
            let capacity = self.0.capacity();
            if capacity > 0 {
                return Poll::Ready(Ok(capacity.min(wanted)));
            }
            match self.0.poll_capacity(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(PeerGone)),
            }
        }
    }

    /// Whether [`poll_window`](Self::poll_window) waits until data is written that has its window, not for the peer: never,
    /// as crate h2 queues any number of pieces.
    #[allow(clippy::unused_self)]
    pub(crate) fn waits_for_transport(&self) -> bool {
        false
    }

    /// Queues data, which [`poll_window`](Self::poll_window) has granted.
    pub(crate) fn send_data(&mut self, data: D, end_of_stream: bool) -> Result<(), PeerGone> {
        self.0
            .send_data(data, end_of_stream)
            .map_err(|_error| PeerGone)
    }

    /// Queues trailers and ends the stream. If HTTP/2 forbids one of them, that is an error and the
    /// stream stays open.
    pub(crate) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), ProtocolError> {
        self.0.send_trailers(trailers).map_err(ProtocolError)
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        self.0.send_reset(code.into());
    }

    /// Ready when the peer has reset the stream, or the connection has failed.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_reset(cx).map(|_reason| ())
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Waker};

    use bytes::Bytes;
    use http::{HeaderValue, Request, header::CONNECTION};

    use super::*;
    use crate::config::{Http2Config, Http2Engine};

    fn ready<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// The caller tells a malformed response from a peer that is gone by `poll_closed`.
    #[test]
    fn stream_stays_open_if_fields_are_refused() {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (mut requests, client) = ready(h2::client::handshake(near)).expect("a client");
        let request = Request::get("http://localhost/").body(());
        let request = request.expect("a request");
        let (_response, _) = requests.send_request(request, true).expect("open");
        let mut client = pin!(client);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(client.as_mut().poll(cx).is_pending());
        let server = super::super::handshake::<_, Bytes>(
            far,
            &Http2Config::default(),
            Http2Engine::H2,
            false,
        );
        let mut server = ready(server).expect("a server");
        let incoming = ready(poll_fn(|cx| server.poll_request(cx)));
        let (_, _, mut sender) = incoming.expect("open").expect("a request").into_parts();

        let mut forbidden = HeaderMap::new();
        forbidden.insert(CONNECTION, HeaderValue::from_static("close"));
        let mut head = Response::new(());
        *head.headers_mut() = forbidden.clone();
        assert!(sender.send_head(head, false).is_err());
        assert!(sender.poll_closed(cx).is_pending());
        let body = sender.send_head(Response::new(()), false);
        let mut body = body.expect("the stream is open");
        assert!(body.send_trailers(forbidden).is_err());
        assert!(body.poll_closed(cx).is_pending());
        assert!(body.send_trailers(HeaderMap::new()).is_ok());
    }
}
