//! The end of a response that waits for the request's body.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::{failure::Failure, send_buffer::Chunk};
use crate::{
    counters::Counters,
    h2_engine::{BodySender, ResetCode, ResponseSender},
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

    /// Ends the response. A peer that is gone is an error elsewhere.
    pub(super) fn send(self, respond: &mut ResponseSender<Chunk>, counters: &Counters) {
        let sent = match self {
            Self::Head(head) => respond.send_head(*head, true).map(drop),
            Self::Body {
                mut stream,
                last_byte,
                trailers: None,
            } => {
                let _ = stream.send_data(Chunk::uncounted(last_byte), true);
                return;
            }
            Self::Body {
                mut stream,
                last_byte,
                trailers: Some(trailers),
            } => {
                if !last_byte.is_empty() {
                    let _ = stream.send_data(Chunk::uncounted(last_byte), false);
                }
                stream.send_trailers(*trailers)
            }
        };
        if let Err(error) = sent {
            Failure::not_sent(&error, false, counters);
            respond.reset(ResetCode::InternalError);
        }
    }
}
