//! A stream that was upgraded: moves its bytes to the handler's end and back.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use tokio::io::ReadBuf;

use super::{context::ConnectionContext, send_body::SendBody, send_buffer::Chunk};
use crate::{
    body::Source,
    http2_engine::{BodySender, ResetCode},
    response::{DeclaredLength, Failure},
    scratch::Scratch,
    time::Deadline,
    upgrade,
};

/// How long a stream whose handler is gone waits for the peer's end, and discards what comes before it.
/// A client answers the server's end with its own; a reset at once might reach it before it has read
/// everything.
const DRAIN: Duration = Duration::from_secs(5);

/// How much of the handler's output is taken at once, bytes: the payload of a usual DATA frame.
const PIECE: usize = 16 * 1024;

/// The handler's end and the stream.
pub(super) struct Tunnel {
    handler: upgrade::Tunnel,
    stream: Box<Stream>,
}

struct Stream {
    source: Source,
    /// Received, and not given to the handler yet.
    input: Bytes,
    input_ended: bool,
    /// `None` when the server's side has ended.
    send: Option<SendBody>,
    drain: Deadline,
}

impl Tunnel {
    pub(super) fn new(
        handler: upgrade::Tunnel,
        source: Source,
        stream: BodySender<Chunk>,
        context: &ConnectionContext,
    ) -> Self {
        let send = SendBody::new(stream, DeclaredLength::default(), false, context);
        Self {
            handler,
            stream: Box::new(Stream {
                source,
                input: Bytes::new(),
                input_ended: false,
                send: Some(send),
                drain: Deadline::new(context.timer, DRAIN.min(context.limits.write)),
            }),
        }
    }

    /// Ready when both sides have ended, and the stream may be dropped.
    pub(super) fn poll(&mut self, context: &ConnectionContext, cx: &mut Context<'_>) -> Poll<()> {
        self.handler.register(cx.waker());
        if context.shutting_down.get() {
            self.handler.shut_down();
        }
        let input = self.poll_input(context, cx);
        match self.poll_output(context, cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(failure)) => {
                self.fail(failure, context);
                return Poll::Ready(());
            }
            Poll::Pending => return Poll::Pending,
        }
        if input.is_pending() && self.handler.is_abandoned() {
            return self.stream.drain.poll_waiting(cx);
        }
        input
    }

    /// Ready when nothing more comes from the peer.
    fn poll_input(&mut self, context: &ConnectionContext, cx: &mut Context<'_>) -> Poll<()> {
        let Self { handler, stream } = self;
        while !stream.input_ended {
            if !stream.input.is_empty() {
                let taken = ready!(handler.poll_input(cx, &stream.input));
                stream.input.advance(taken);
                continue;
            }
            match stream.source.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    stream.input = frame.into_data().unwrap_or_default();
                    continue;
                }
                Poll::Ready(Some(Err(_))) => handler.fail(io::ErrorKind::ConnectionReset),
                Poll::Ready(None) => handler.end_input(),
                // The peer has ended the connection, but not the stream.
                Poll::Pending if context.input_ended.get() => {
                    handler.fail(io::ErrorKind::UnexpectedEof);
                }
                Poll::Pending => return Poll::Pending,
            }
            stream.input_ended = true;
        }
        Poll::Ready(())
    }

    /// Ready when the server's side has ended.
    fn poll_output(
        &mut self,
        context: &ConnectionContext,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if let Some(send) = &mut self.stream.send {
            let mut output = Output(&mut self.handler);
            ready!(send.poll(Pin::new(&mut output), None, context, cx))?;
            self.stream.send = None;
        }
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, failure: Failure, context: &ConnectionContext) {
        if failure == Failure::PeerGone {
            self.handler.fail(io::ErrorKind::ConnectionReset);
            return;
        }
        self.handler.fail(io::ErrorKind::TimedOut);
        tracing::debug!(limit = ?context.limits.write, "upgraded stream stalled: no window from the peer");
        if let Some(send) = &mut self.stream.send {
            send.reset(ResetCode::Cancel);
        }
    }
}

/// What the handler writes, as the body to send.
struct Output<'a>(&'a mut upgrade::Tunnel);

impl Body for Output<'_> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut scratch = Scratch::take();
        let mut buf = ReadBuf::new(&mut scratch[..PIECE]);
        ready!(self.get_mut().0.poll_output(cx, &mut buf));
        Poll::Ready(match buf.filled() {
            [] => None,
            data => Some(Ok(Frame::data(Bytes::copy_from_slice(data)))),
        })
    }
}
