//! The preface.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use corelane_http2::{Config, Protocol};
use http::Extensions;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{connection::Connection, error::EngineError};
use crate::config::{Http2Config, MAX_ERROR_RESETS};

/// Sends the server's SETTINGS, and reads the client's preface.
pub(crate) fn handshake<IO, D: Buf>(
    io: IO,
    config: &Http2Config,
    connect_protocol: bool,
) -> Handshake<IO, D> {
    let engine = Config::default()
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_header_list_size(config.max_header_list_size)
        .max_frame_size(config.max_frame_size)
        .initial_stream_window_size(config.initial_stream_window_size)
        .initial_connection_window_size(config.initial_connection_window_size)
        .extended_connect(connect_protocol)
        .max_stream_errors(u32::try_from(MAX_ERROR_RESETS).unwrap_or(u32::MAX));
    let max_early_resets = u32::try_from(config.max_pending_accept_resets()).unwrap_or(u32::MAX);
    Handshake(Some(Connection::new(io, engine, max_early_resets)))
}

/// The pseudo-header field `:protocol` of a request (RFC 8441 section 4).
pub(crate) fn connect_protocol(extensions: &Extensions) -> Option<&str> {
    std::str::from_utf8(extensions.get::<Protocol>()?.as_bytes()).ok()
}

pub(crate) struct Handshake<IO, D: Buf>(Option<Connection<IO, D>>);

impl<IO, D> Future for Handshake<IO, D>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    D: Buf,
{
    type Output = Result<Connection<IO, D>, EngineError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(connection) = &mut self.0 {
            ready!(connection.poll_established(cx))?;
        }
        match self.0.take() {
            Some(connection) => Poll::Ready(Ok(connection)),
            // A future is not polled after it was ready.
            None => Poll::Pending,
        }
    }
}
