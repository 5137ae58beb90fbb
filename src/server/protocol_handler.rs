//! The handlers of protocols other than HTTP.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::protocol_stream::ProtocolStream;
use crate::{
    alpn::ProtocolName,
    connection_info::ConnectionInfo,
    error::{BoxError, Error, Kind},
};

type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), Error>>>>;
type Handler = Arc<dyn Fn(ProtocolStream, Arc<ConnectionInfo>) -> HandlerFuture + Send + Sync>;

/// By the name of their protocol. A server has a few at most.
#[derive(Clone, Default)]
pub(super) struct ProtocolHandlers(Vec<(ProtocolName, Handler)>);

impl ProtocolHandlers {
    /// Sets the handler of a protocol. The last one counts.
    pub(super) fn insert<H, F, E>(&mut self, name: ProtocolName, handler: H)
    where
        H: Fn(ProtocolStream, Arc<ConnectionInfo>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Into<BoxError>,
    {
        let handler: Handler = Arc::new(move |stream, info| {
            let future = handler(stream, info);
            Box::pin(async move {
                let failed = |error: E| {
                    Error::new(Kind::Io, "the handler of the protocol failed").with_source(error)
                };
                future.await.map_err(failed)
            })
        });
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, handler));
    }

    pub(super) fn get(&self, name: &ProtocolName) -> Option<&Handler> {
        let mut handlers = self.0.iter();
        handlers
            .find(|(other, _)| other == name)
            .map(|(_, handler)| handler)
    }
}

impl fmt::Debug for ProtocolHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}
