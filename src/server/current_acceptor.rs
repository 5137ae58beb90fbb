//! The acceptor that new connections get, exchanged while the server runs.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use super::connection::check_alpn;
use crate::{error::Error, tls::TlsAcceptor};

/// Read by all workers, once per connection and without a lock or a count that they would share.
pub(super) struct CurrentAcceptor(ArcSwap<Arc<dyn TlsAcceptor>>);

impl CurrentAcceptor {
    pub(super) fn new(acceptor: Arc<dyn TlsAcceptor>) -> Self {
        Self(ArcSwap::from_pointee(acceptor))
    }

    /// The acceptor as it is now, for one handshake.
    pub(super) fn load(&self) -> Guard<Arc<Arc<dyn TlsAcceptor>>> {
        self.0.load()
    }

    fn replace(&self, acceptor: Arc<dyn TlsAcceptor>) -> Result<(), Error> {
        check_alpn(&*acceptor)?;
        let speaks = |tls| if tls { "TLS" } else { "no TLS" };
        let (old, new) = (
            self.load().expects_client_hello(),
            acceptor.expects_client_hello(),
        );
        if old != new {
            return Err(Error::config(format!(
                "the acceptor {} speaks {}, the server {}: that stays as it is while it runs",
                acceptor.backend(),
                speaks(new),
                speaks(old)
            )));
        }
        self.0.store(Arc::new(acceptor));
        Ok(())
    }
}

/// Gives new connections of a running server another acceptor:
/// [`Handle::reloader`](crate::Handle::reloader).
#[derive(Clone)]
pub struct Reloader(pub(super) Arc<CurrentAcceptor>);

impl Reloader {
    /// As [`Handle::reload`](crate::Handle::reload).
    pub fn reload(&self, acceptor: impl TlsAcceptor) -> Result<(), Error> {
        self.0.replace(Arc::new(acceptor))
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = self.0.load().backend();
        f.debug_struct("Reloader")
            .field("backend", &backend)
            .finish()
    }
}
