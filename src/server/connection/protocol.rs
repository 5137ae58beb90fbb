//! A connection whose protocol has a handler of the user.

use std::{future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures_util::{
    FutureExt,
    future::{Either, select},
};

use super::ConnectionHandler;
use crate::{
    alpn::ProtocolName,
    connection_info::{ConnectionInfo, display_addr},
    error::{Error, Kind, panic_message},
    io::TlsStream,
    server::{
        closing_stream::ClosingProtocol, connection_options::ConnectionOptions,
        protocol_stream::ProtocolStream, socket::Socket,
    },
    service::HttpService,
};

impl<S: HttpService> ConnectionHandler<'_, S> {
    /// Gives the connection to the handler of its protocol, and closes it when the handler ends.
    pub(super) async fn serve_protocol(
        &self,
        name: &ProtocolName,
        stream: TlsStream<Socket>,
        info: Arc<ConnectionInfo>,
        options: &ConnectionOptions,
        shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Error> {
        let peer = info.peer_addr;
        let Some(handler) = options.handlers.get(name) else {
            let error = Error::config(format!("the protocol {name} has no handler"));
            return Err(self.failed(peer, error));
        };
        let stream = ProtocolStream::new(stream, &options.limits);
        let shared = ClosingProtocol(stream.shared());
        let run = async { handler(stream, info).await };
        let run = pin!(AssertUnwindSafe(run).catch_unwind());
        let ended = match select(run, shutdown).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), run)) => {
                shared.0.shut_down();
                run.await
            }
        };
        let result = ended.unwrap_or_else(|panic| {
            self.counters.handler_panics.add();
            let panic = panic_message(&*panic);
            tracing::error!(protocol = %name, panic, "handler panicked");
            Err(Error::new(Kind::Io, "the handler of the protocol panicked"))
        });
        if let Some(stream) = shared.0.take() {
            self.close(stream, options.limits.write).await;
        }
        result.map_err(|error| self.failed(peer, error))?;
        let peer = display_addr(peer);
        tracing::debug!(%peer, protocol = %name, "connection closed");
        Ok(())
    }
}
