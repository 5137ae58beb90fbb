//! The TLS acceptor of new connections, which can be replaced while the server runs.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::{error::Error, tls::TlsAcceptor};

/// The source of a connection's acceptor.
pub(super) enum AcceptorSource<'a> {
    /// From the caller of [`serve_connection`](crate::serve_connection).
    Fixed(&'a dyn TlsAcceptor),
    /// From the server: the acceptor at the time when the handshake starts.
    Current(Arc<CurrentAcceptor>),
}

/// All workers read it once per connection, without a lock or a reference count that they would
/// share.
pub(super) struct CurrentAcceptor(ArcSwap<Arc<dyn TlsAcceptor>>);

impl CurrentAcceptor {
    pub(super) fn new(acceptor: Arc<dyn TlsAcceptor>) -> Self {
        Self(ArcSwap::from_pointee(acceptor))
    }

    /// The present acceptor, for one handshake.
    pub(super) fn load(&self) -> Guard<Arc<Arc<dyn TlsAcceptor>>> {
        self.0.load()
    }

    /// The caller has checked the acceptor.
    pub(super) fn replace(&self, acceptor: Arc<dyn TlsAcceptor>) -> Result<(), Error> {
        let speaks = |tls| if tls { "TLS" } else { "no TLS" };
        let (old, new) = (
            self.load().expects_client_hello(),
            acceptor.expects_client_hello(),
        );
        if old != new {
            return Err(Error::config(format!(
                "the new acceptor {} speaks {}, but the running server speaks {}: restart the \
                 server to change that",
                acceptor.backend(),
                speaks(new),
                speaks(old)
            )));
        }
        self.0.store(Arc::new(acceptor));
        Ok(())
    }
}
