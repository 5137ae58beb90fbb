//! A connection that was upgraded: moves its bytes to the handler's end and back.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Wire;
use crate::{buffer::Buffer, closing::Closed, error::Error, scratch::Scratch, upgrade};

/// How much is moved at once, bytes: the plaintext of a full record of TLS.
const PIECE: usize = 16 * 1024;

/// How many pieces of each direction are moved before the other connections of the worker have their turn.
const MAX_PIECES: usize = 16;

/// The handler's end, and what is between it and the wire.
pub(super) struct Tunnel {
    handler: upgrade::Tunnel,
    /// Received, and not given to the handler yet.
    input: Buffer,
    input_ended: bool,
    /// Written by the handler, and not given to the wire yet.
    output: Buffer,
    output_ended: bool,
    shut_down: bool,
}

impl Tunnel {
    pub(super) fn new(handler: upgrade::Tunnel) -> Self {
        Self {
            handler,
            input: Buffer::default(),
            input_ended: false,
            output: Buffer::default(),
            output_ended: false,
            shut_down: false,
        }
    }

    /// The server shuts down.
    pub(super) fn shut_down(&mut self) {
        if !self.shut_down {
            self.shut_down = true;
            self.handler.shut_down();
        }
    }

    /// Ready when both sides have ended, or the handler has dropped its end and its output is sent.
    pub(super) fn poll<IO>(
        &mut self,
        wire: &mut Wire<IO>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Closed, Error>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.handler.register(cx.waker());
        let input = self.poll_input(wire, cx);
        if let Poll::Ready(Err(error)) = self.poll_output(wire, cx) {
            self.handler.fail(error.kind());
            return Poll::Ready(Err(error.into()));
        }
        if !self.output_ended {
            return Poll::Pending;
        }
        if self.handler.is_abandoned() {
            return Poll::Ready(Ok(match self.shut_down {
                true => Closed::Shutdown,
                false => Closed::ByServer,
            }));
        }
        ready!(input);
        Poll::Ready(Ok(Closed::ByPeer))
    }

    /// Ready when nothing more comes from the peer.
    fn poll_input<IO>(&mut self, wire: &mut Wire<IO>, cx: &mut Context<'_>) -> Poll<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut pieces = 0;
        while !self.input_ended {
            if !self.input.is_empty() {
                let taken = ready!(self.handler.poll_input(cx, self.input.as_slice()));
                self.input.consume(taken);
                continue;
            }
            if pieces == MAX_PIECES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            pieces += 1;
            let mut scratch = Scratch::take();
            let mut buf = ReadBuf::new(&mut scratch[..PIECE]);
            match ready!(wire.poll_read_upgraded(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => {
                    self.input_ended = true;
                    self.handler.end_input();
                }
                Ok(()) => self.input.extend(buf.filled()),
                Err(error) => {
                    self.input_ended = true;
                    self.handler.fail(error.kind());
                }
            }
        }
        Poll::Ready(())
    }

    /// Ready when the server's side has ended.
    fn poll_output<IO>(&mut self, wire: &mut Wire<IO>, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut pieces = 0;
        while !self.output_ended {
            if !self.output.is_empty() {
                let taken = ready!(Pin::new(&mut *wire).poll_write(cx, self.output.as_slice()))?;
                self.output.consume(taken);
                continue;
            }
            if pieces == MAX_PIECES {
                cx.waker().wake_by_ref();
                break;
            }
            pieces += 1;
            let mut scratch = Scratch::take();
            let mut buf = ReadBuf::new(&mut scratch[..PIECE]);
            if self.handler.poll_output(cx, &mut buf).is_pending() {
                break;
            }
            if buf.filled().is_empty() {
                ready!(wire.poll_end(cx))?;
                self.output_ended = true;
                return Poll::Ready(Ok(()));
            }
            self.output.extend(buf.filled());
        }
        if self.output_ended {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(wire).poll_flush(cx))?;
        Poll::Pending
    }
}
