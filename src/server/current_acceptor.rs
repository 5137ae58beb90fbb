//! The TLS acceptor of new connections, which can be replaced while the server runs.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::{alpn::ProtocolName, error::Error, tls::TlsAcceptor};

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

    pub(super) fn replace(&self, acceptor: Arc<dyn TlsAcceptor>) -> Result<(), Error> {
        check_acceptor(&*acceptor)?;
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

/// Refuses an acceptor that would negotiate another protocol than HTTP/2, or none, or that is
/// configured for something that a server does not support.
pub(super) fn check_acceptor(acceptor: &dyn TlsAcceptor) -> Result<(), Error> {
    acceptor.check()?;
    match acceptor.alpn_protocols() {
        Some(names)
            if acceptor.expects_client_hello() && names.first() != Some(&ProtocolName::H2) =>
        {
            Err(Error::config(format!(
                "the {} acceptor negotiates {names:?} by ALPN, but only HTTP/2 is served: set \
                 its protocols to \"h2\"",
                acceptor.backend()
            )))
        }
        _ => Ok(()),
    }
}
