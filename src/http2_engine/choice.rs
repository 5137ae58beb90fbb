//! One interface for both implementations.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http::{Extensions, HeaderMap, Response, request::Parts};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    crate_h2, own,
    stream::{PeerGone, ResetCode},
};
use crate::{
    config::{Http2Config, Http2Engine},
    error::Error,
};

/// Calls a method of the implementation.
macro_rules! either {
    ($value:expr, $it:ident => $call:expr) => {
        match $value {
            Self::H2($it) => $call,
            Self::Own($it) => $call,
        }
    };
}

/// As [`crate_h2::handshake`], by the implementation that the caller chooses.
pub(crate) fn handshake<IO, D>(
    io: IO,
    config: &Http2Config,
    engine: Http2Engine,
    connect_protocol: bool,
) -> impl Future<Output = Result<Connection<IO, D>, ProtocolError>> + use<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    let (h2, own) = match engine {
        Http2Engine::H2 => {
            let h2 = crate_h2::handshake(io, config, engine, connect_protocol);
            (Some(h2), None)
        }
        Http2Engine::Corelane => (None, Some(own::handshake(io, config, connect_protocol))),
    };
    async move {
        match (h2, own) {
            (Some(h2), _) => {
                let h2 = h2.await.map_err(ProtocolError::H2)?;
                Ok(Connection::H2(Box::new(h2)))
            }
            (_, Some(own)) => Ok(Connection::Own(own.await.map_err(ProtocolError::Own)?)),
            // One of them was made above.
            (None, None) => std::future::pending().await,
        }
    }
}

/// As [`crate_h2::connect_protocol`].
pub(crate) fn connect_protocol(extensions: &Extensions) -> Option<&str> {
    crate_h2::connect_protocol(extensions).or_else(|| own::connect_protocol(extensions))
}

/// As [`crate_h2::ProtocolError`].
#[derive(Debug)]
pub(crate) enum ProtocolError {
    H2(crate_h2::ProtocolError),
    Own(own::EngineError),
}

impl ProtocolError {
    pub(crate) fn is_flood(&self) -> bool {
        either!(self, it => it.is_flood())
    }

    pub(crate) fn into_error(self) -> Error {
        either!(self, it => it.into_error())
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, it => it.fmt(f))
    }
}

impl StdError for ProtocolError {}

impl From<crate_h2::ProtocolError> for ProtocolError {
    fn from(error: crate_h2::ProtocolError) -> Self {
        Self::H2(error)
    }
}

impl From<own::EngineError> for ProtocolError {
    fn from(error: own::EngineError) -> Self {
        Self::Own(error)
    }
}

/// As [`crate_h2::Connection`].
pub(crate) enum Connection<IO, D: Buf> {
    /// Boxed, so that the other one does not take as much memory.
    H2(Box<crate_h2::Connection<IO, D>>),
    Own(own::Connection<IO, D>),
}

impl<IO, D> Connection<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    pub(crate) fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Incoming<D>, ProtocolError>>> {
        match self {
            Self::H2(it) => it
                .poll_request(cx)
                .map(|next| next.map(|result| Ok(Incoming::H2(result?)))),
            Self::Own(it) => it
                .poll_request(cx)
                .map(|next| next.map(|result| Ok(Incoming::Own(result?)))),
        }
    }

    pub(crate) fn graceful_shutdown(&mut self) {
        either!(self, it => it.graceful_shutdown());
    }

    pub(crate) fn end_for_flood(&mut self) {
        either!(self, it => it.end_for_flood());
    }

    pub(crate) fn close(&mut self) {
        either!(self, it => it.close());
    }

    pub(crate) fn pings(&mut self) -> Option<Pings<D>> {
        match self {
            Self::H2(it) => it.pings().map(Pings::H2),
            Self::Own(it) => it.pings().map(Pings::Own),
        }
    }
}

/// As [`crate_h2::Incoming`].
pub(crate) enum Incoming<D: Buf> {
    H2(crate_h2::Incoming<D>),
    Own(own::Incoming<D>),
}

impl<D: Buf> Incoming<D> {
    pub(crate) fn into_parts(self) -> (Parts, RequestStream, ResponseSender<D>) {
        match self {
            Self::H2(it) => {
                let (head, stream, sender) = it.into_parts();
                (head, RequestStream::H2(stream), ResponseSender::H2(sender))
            }
            Self::Own(it) => {
                let (head, stream, sender) = it.into_parts();
                (
                    head,
                    RequestStream::Own(stream),
                    ResponseSender::Own(sender),
                )
            }
        }
    }
}

/// As [`crate_h2::Pings`].
pub(crate) enum Pings<D> {
    H2(crate_h2::Pings<D>),
    Own(own::Pings<D>),
}

impl<D: Buf> Pings<D> {
    pub(crate) fn send(&mut self, cx: &mut Context<'_>) {
        either!(self, it => it.send(cx));
    }

    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) {
        either!(self, it => it.poll_answer(cx));
    }
}

/// As [`crate_h2::RequestStream`].
pub(crate) enum RequestStream {
    H2(crate_h2::RequestStream),
    Own(own::RequestStream),
}

impl RequestStream {
    pub(crate) fn is_end_stream(&self) -> bool {
        either!(self, it => it.is_end_stream())
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ProtocolError>>> {
        either!(self, it => it
            .poll_frame(cx)
            .map(|next| next.map(|result| Ok(result?))))
    }
}

/// As [`crate_h2::ResponseSender`].
pub(crate) enum ResponseSender<D: Buf> {
    H2(crate_h2::ResponseSender<D>),
    Own(own::ResponseSender<D>),
}

impl<D: Buf> ResponseSender<D> {
    pub(crate) fn send_continue(&mut self) -> Result<(), ProtocolError> {
        either!(self, it => it.send_continue().map_err(ProtocolError::from))
    }

    pub(crate) fn send_head(
        &mut self,
        head: Response<()>,
        end_of_stream: bool,
    ) -> Result<BodySender<D>, ProtocolError> {
        Ok(match self {
            Self::H2(it) => BodySender::H2(it.send_head(head, end_of_stream)?),
            Self::Own(it) => BodySender::Own(it.send_head(head, end_of_stream)?),
        })
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        either!(self, it => it.reset(code));
    }

    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, it => it.poll_closed(cx))
    }
}

/// As [`crate_h2::BodySender`].
pub(crate) enum BodySender<D: Buf> {
    H2(crate_h2::BodySender<D>),
    Own(own::BodySender<D>),
}

impl<D: Buf> BodySender<D> {
    pub(crate) fn poll_window(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, PeerGone>> {
        either!(self, it => it.poll_window(wanted, cx))
    }

    pub(crate) fn waits_for_transport(&self) -> bool {
        either!(self, it => it.waits_for_transport())
    }

    pub(crate) fn send_data(&mut self, data: D, end_of_stream: bool) -> Result<(), PeerGone> {
        either!(self, it => it.send_data(data, end_of_stream))
    }

    pub(crate) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), ProtocolError> {
        either!(self, it => it.send_trailers(trailers).map_err(ProtocolError::from))
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        either!(self, it => it.reset(code));
    }

    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, it => it.poll_closed(cx))
    }
}
