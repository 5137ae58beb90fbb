//! Sends a response's body, as fast as the peer's windows and the connection's buffer allow.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;

use super::{
    context::ConnectionContext,
    held_end::HeldEnd,
    send_buffer::{Chunk, SendPermit},
};
use crate::{
    body::BodyMonitor,
    error::BoxError,
    http2_engine::{BodySender, PeerGone, ResetCode},
    response::{DeclaredLength, Failure, remove_framing},
    time::MinRate,
};

/// How much one stream queues at once, so that the streams of a connection take turns at its send
/// buffer. A multiple of the frame size, so that it cuts no frame short.
const PIECE: usize = 64 * 1024;

/// The state of sending one body, without the body itself.
pub(super) struct SendBody {
    stream: BodySender<Chunk>,
    permit: SendPermit,
    stall: MinRate,
    declared: DeclaredLength,
    /// Taken from the body and not queued yet.
    data: Bytes,
    /// Nothing follows `data`.
    ends: bool,
    may_hold_end: bool,
    /// The end waits for the request's body, and so does this byte, if there is one: a client that
    /// has received the declared length takes the response for complete.
    last_byte: Option<Bytes>,
}

/// How much of a response's body is queued.
pub(super) enum Sent {
    Whole,
    /// All but the end, which has these trailers: see [`SendBody::into_end`].
    UpToEnd(Option<Box<HeaderMap>>),
}

impl From<PeerGone> for Failure {
    fn from(PeerGone: PeerGone) -> Self {
        Self::PeerGone
    }
}

impl SendBody {
    pub(super) fn new(
        stream: BodySender<Chunk>,
        declared: DeclaredLength,
        may_hold_end: bool,
        context: &ConnectionContext,
    ) -> Self {
        let limits = &context.limits;
        Self {
            stream,
            permit: SendPermit::new(&context.send_buffer),
            stall: MinRate::new(context.timer, limits.write, limits.min_rate),
            declared,
            data: Bytes::new(),
            ends: false,
            may_hold_end,
            last_byte: None,
        }
    }

    /// Ready when all of `body` is queued, or all but the end if `monitor` holds that.
    pub(super) fn poll<B>(
        &mut self,
        mut body: Pin<&mut B>,
        mut monitor: Option<&mut BodyMonitor>,
        context: &ConnectionContext,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent, Failure>>
    where
        B: http_body::Body<Error: Into<BoxError>>,
    {
        let counters = &context.counters;
        loop {
            ready!(self.poll_data(&mut monitor, context, cx))?;
            if self.ends {
                return Poll::Ready(Ok(match self.last_byte {
                    Some(_) => Sent::UpToEnd(None),
                    None => Sent::Whole,
                }));
            }
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => {
                    let gone = monitor.is_some_and(|monitor| monitor.is_cut_off())
                        || self.stream.poll_closed(cx).is_ready();
                    return Poll::Ready(Err(Failure::of_handler(error, gone, counters)));
                }
                Poll::Ready(None) => {
                    self.ends = true;
                    self.declared
                        .end()
                        .map_err(|why| Failure::malformed(why, counters))?;
                    if self.holds_end(&mut monitor) {
                        return Poll::Ready(Ok(Sent::UpToEnd(None)));
                    }
                    self.stream.send_data(Chunk::empty(), true)?;
                    return Poll::Ready(Ok(Sent::Whole));
                }
                Poll::Pending => {
                    self.stall.pause();
                    self.poll_last_byte(&mut monitor, cx)?;
                    return self.stream.poll_closed(cx).map(|()| Err(Failure::PeerGone));
                }
            };
            match frame.into_data() {
                Ok(mut data) => {
                    self.data = data.copy_to_bytes(data.remaining());
                    self.ends = body.is_end_stream();
                    self.declare_sent()
                        .map_err(|why| Failure::malformed(why, counters))?;
                    if self.ends && self.data.is_empty() && !self.holds_end(&mut monitor) {
                        self.stream.send_data(Chunk::empty(), true)?;
                    }
                }
                Err(frame) => {
                    if let Ok(mut trailers) = frame.into_trailers() {
                        self.declared
                            .end()
                            .map_err(|why| Failure::malformed(why, counters))?;
                        // Without this data the response would look complete. Some bodies return
                        // their trailers again and again.
                        if let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(cx)
                            && frame.is_data()
                        {
                            let why = "data after the trailers";
                            return Poll::Ready(Err(Failure::malformed(why, counters)));
                        }
                        remove_framing(&mut trailers);
                        if self.holds_end(&mut monitor) {
                            return Poll::Ready(Ok(Sent::UpToEnd(Some(Box::new(trailers)))));
                        }
                        let sent = self.stream.send_trailers(trailers).map_err(|error| {
                            let gone = self.stream.poll_closed(cx).is_ready();
                            Failure::not_sent(&error, gone, counters)
                        });
                        return Poll::Ready(sent.map(|()| Sent::Whole));
                    }
                }
            }
        }
    }

    pub(super) fn reset(&mut self, code: ResetCode) {
        self.stream.reset(code);
    }

    /// After [`Sent::UpToEnd`].
    pub(super) fn into_end(self, trailers: Option<Box<HeaderMap>>) -> HeldEnd {
        HeldEnd::Body {
            stream: self.stream,
            last_byte: self.last_byte.unwrap_or_default(),
            trailers,
        }
    }

    /// Whether the end waits for the request's body. Once it does, the caller has to send it.
    fn holds_end(&mut self, monitor: &mut Option<&mut BodyMonitor>) -> bool {
        if self.last_byte.is_some() {
            return true;
        }
        let holds =
            self.may_hold_end && monitor.as_mut().is_some_and(|monitor| monitor.holds_end());
        if holds {
            self.last_byte = Some(Bytes::new());
        }
        holds
    }

    /// While the body does not end behind its declared length: sends the byte that is held when it
    /// has waited for long enough, without the end of the stream.
    fn poll_last_byte(
        &mut self,
        monitor: &mut Option<&mut BodyMonitor>,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        if self.last_byte.is_none() {
            return Ok(());
        }
        if let Some(monitor) = monitor
            && monitor.poll_hold(cx).is_pending()
        {
            return Ok(());
        }
        self.may_hold_end = false;
        if let Some(byte) = self.last_byte.take() {
            self.stream.send_data(Chunk::uncounted(byte), false)?;
        }
        Ok(())
    }

    fn declare_sent(&mut self) -> Result<(), &'static str> {
        self.declared.send(self.data.len())?;
        match self.ends {
            true => self.declared.end(),
            false => Ok(()),
        }
    }

    /// Ready when all of `data` is queued.
    fn poll_data(
        &mut self,
        monitor: &mut Option<&mut BodyMonitor>,
        context: &ConnectionContext,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        while !self.data.is_empty() {
            let granted = ready!(self.poll_window(context, cx))?;
            let mut piece = self.data.split_to(granted);
            self.stall.moved(piece.len());
            context.credits.sent(piece.len(), self.data.is_empty());
            let mut last = self.ends && self.data.is_empty();
            let completes = last || self.declared.is_complete() && self.data.is_empty();
            if completes && self.holds_end(monitor) {
                // A copy, so that the rest of the memory is freed.
                self.last_byte = Some(Bytes::copy_from_slice(&piece.split_off(piece.len() - 1)));
                last = false;
            }
            if last || !piece.is_empty() {
                self.stream.send_data(self.permit.fill(piece), last)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// How much of `data` may be queued now. Checks the connection's own buffer first: a stream
    /// that waits for it must not hold window that another one could use.
    fn poll_window(
        &mut self,
        context: &ConnectionContext,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Failure>> {
        let mut stalled = false;
        if self.permit.poll(cx).is_pending() {
            if self.permit.waits_for_window() {
                stalled = self.stall.poll_waiting(cx).is_ready();
            } else {
                // The peer does not cause this wait, and the transport has its own time limit.
                self.stall.pause();
            }
        } else {
            let wanted = self.data.len().min(PIECE);
            if let Poll::Ready(granted) = self.stream.poll_window(wanted, cx)? {
                return Poll::Ready(Ok(granted));
            }
            if self.stream.waits_for_transport() {
                self.stall.pause();
            } else {
                // What is queued has to leave before the stream is reset.
                let is_stuck =
                    context.input_ended.get() && context.send_buffer.poll_empty(cx).is_ready();
                stalled = is_stuck || self.stall.poll_waiting(cx).is_ready();
            }
        }
        match self.stream.poll_closed(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Failure::PeerGone)),
            Poll::Pending if stalled => Poll::Ready(Err(Failure::Stalled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
