//! The end of a response that waits for the request's body.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::send_buffer::Chunk;
use crate::{
    counters::Counters,
    http2_engine::{BodySender, ResponseSender},
    response::Failure,
};

/// What the client needs to take the response for complete.
pub(super) enum HeldEnd {
    /// A response without a body.
    Head(Box<Response<()>>),
    /// The body's last byte and the trailers.
    Body {
        stream: BodySender<Chunk>,
        last_byte: Bytes,
        trailers: Option<Box<HeaderMap>>,
    },
}

impl HeldEnd {
    /// Ready when the peer has reset the stream, or the connection has failed.
    pub(super) fn poll_closed(
        &mut self,
        respond: &mut ResponseSender<Chunk>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match self {
            Self::Head(_) => respond.poll_closed(cx),
            Self::Body { stream, .. } => stream.poll_closed(cx),
        }
    }

    /// Whether the peer has got the response's head.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self, Self::Body { .. })
    }

    /// Ends the response. Call it only while [`poll_closed`](Self::poll_closed) is pending: after a
    /// reset by the peer an error would look like one of the handler.
    pub(super) fn send(
        self,
        respond: &mut ResponseSender<Chunk>,
        counters: &Counters,
    ) -> Result<(), Failure> {
        let sent = match self {
            Self::Head(head) => {
                let status = head.status().as_u16();
                let sent = respond.send_head(*head, true);
                sent.map(|_stream| counters.response(status))
            }
            Self::Body {
                mut stream,
                last_byte,
                trailers: None,
            } => return Ok(stream.send_data(Chunk::uncounted(last_byte), true)?),
            Self::Body {
                mut stream,
                last_byte,
                trailers: Some(trailers),
            } => {
                if !last_byte.is_empty() {
                    stream.send_data(Chunk::uncounted(last_byte), false)?;
                }
                stream.send_trailers(*trailers)
            }
        };
        sent.map_err(|error| Failure::not_sent(&error, false, counters))
    }
}
