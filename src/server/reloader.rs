//! Replaces the acceptor and the options of a running server.

use std::{fmt, sync::Arc};

use super::{
    current_acceptor::CurrentAcceptor,
    current_options::{CurrentOptions, ServerOptions},
};
use crate::{error::Error, tls::TlsAcceptor};

/// Replaces the TLS acceptor and the options of a running server, from any thread. Made by
/// [`Handle::reloader`](crate::Handle::reloader), cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    acceptor: Arc<CurrentAcceptor>,
    options: Arc<CurrentOptions>,
}

impl Reloader {
    pub(super) fn new(acceptor: Arc<CurrentAcceptor>, options: Arc<CurrentOptions>) -> Self {
        Self { acceptor, options }
    }

    /// As [`Handle::reload`](crate::Handle::reload).
    ///
    /// # Errors
    ///
    /// As [`Handle::reload`](crate::Handle::reload).
    pub fn reload(&self, acceptor: impl TlsAcceptor) -> Result<(), Error> {
        self.acceptor.replace(Arc::new(acceptor))
    }

    /// Replaces both, or nothing if the acceptor is refused. The caller has checked `options`.
    pub(super) fn replace(
        &self,
        acceptor: Arc<dyn TlsAcceptor>,
        options: ServerOptions,
    ) -> Result<(), Error> {
        self.acceptor.replace(acceptor)?;
        self.options.replace(options);
        Ok(())
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = self.acceptor.load().backend();
        f.debug_struct("Reloader")
            .field("backend", &backend)
            .finish()
    }
}
