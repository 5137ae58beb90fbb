//! A connection, from the preface to GOAWAY.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http::{Extensions, Request, request::Parts};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    error::ProtocolError, ping::Pings, request_stream::RequestStream,
    response_sender::ResponseSender,
};
use crate::config::{self, Http2Config, Http2Engine};

/// One connection over `IO`. `D` holds the data of response bodies until it is sent.
pub(crate) struct Connection<IO, D: Buf>(h2::server::Connection<IO, D>);

/// Reads the client's preface and sends the server's SETTINGS (RFC 9113 section 3.4), with
/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3) for `connect_protocol`. Without it crate h2 resets
/// a request with `:protocol` (`PROTOCOL_ERROR`).
pub(crate) fn handshake<IO, D>(
    io: IO,
    config: &Http2Config,
    _engine: Http2Engine,
    connect_protocol: bool,
) -> impl Future<Output = Result<Connection<IO, D>, ProtocolError>> + use<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    let mut builder = h2::server::Builder::new();
    if connect_protocol {
        builder.enable_connect_protocol();
    }
    let handshake = builder
        .initial_window_size(config.initial_stream_window_size)
        .initial_connection_window_size(config.initial_connection_window_size)
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_header_list_size(config.max_header_list_size)
        .max_frame_size(config.max_frame_size)
        .max_send_buffer_size(config.max_send_buffer_size)
        .max_pending_accept_reset_streams(config.max_pending_accept_resets())
        .max_local_error_reset_streams(Some(config::MAX_ERROR_RESETS))
        .max_concurrent_reset_streams(config::MAX_RESET_STREAMS)
        .data_frame_budget(config.small_frames_budget())
        .handshake(io);
    Handshake(handshake)
}

/// The pseudo-header field `:protocol` of a request (RFC 8441 section 4).
pub(crate) fn connect_protocol(extensions: &Extensions) -> Option<&str> {
    let protocol = extensions.get::<h2::ext::Protocol>();
    protocol.map(h2::ext::Protocol::as_str)
}

struct Handshake<IO, D: Buf>(h2::server::Handshake<IO, D>);

impl<IO, D> Future for Handshake<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    type Output = Result<Connection<IO, D>, ProtocolError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let connection = Pin::new(&mut self.0).poll(cx);
        connection.map(|result| result.map(Connection).map_err(ProtocolError))
    }
}

impl<IO, D> Connection<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    /// Reads and writes as much as the transport allows. Ready with the next request, with an
    /// error, or with `None` when the connection has ended.
    pub(crate) fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Incoming<D>, ProtocolError>>> {
        let accepted = self.0.poll_accept(cx);
        accepted.map(|next| {
            next.map(|result| match result {
                Ok((request, respond)) => Ok(Incoming { request, respond }),
                Err(error) => Err(ProtocolError(error)),
            })
        })
    }

    /// Announces GOAWAY, `NO_ERROR`: requests that the client has sent by the time it arrives are
    /// still yielded (RFC 9113 section 6.8).
    pub(crate) fn graceful_shutdown(&mut self) {
        self.0.graceful_shutdown();
    }

    /// Sends GOAWAY, `ENHANCE_YOUR_CALM`, and ends the connection.
    pub(crate) fn end_for_flood(&mut self) {
        self.0.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
    }

    /// Sends GOAWAY, `NO_ERROR`, and ends the connection without regard to its streams.
    pub(crate) fn close(&mut self) {
        self.0.abrupt_shutdown(h2::Reason::NO_ERROR);
    }

    /// Only the first call returns `Some`.
    pub(crate) fn pings(&mut self) -> Option<Pings<D>> {
        self.0.ping_pong().map(Pings::new)
    }
}

/// A request as it arrives. The caller takes it apart, so that its head is moved only as often as
/// needed.
pub(crate) struct Incoming<D: Buf> {
    request: Request<h2::RecvStream>,
    respond: h2::server::SendResponse<D>,
}

impl<D: Buf> Incoming<D> {
    pub(crate) fn into_parts(self) -> (Parts, RequestStream, ResponseSender<D>) {
        let (head, stream) = self.request.into_parts();
        (
            head,
            RequestStream::new(stream),
            ResponseSender::new(self.respond),
        )
    }
}
