//! Replaces the acceptor and the options of a running server.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
    /// Held while both are replaced, so that those in use belong to the same call.
    writing: Arc<Mutex<()>>,
}

impl Reloader {
    pub(super) fn new(acceptor: Arc<CurrentAcceptor>, options: Arc<CurrentOptions>) -> Self {
        Self {
            acceptor,
            options,
            writing: Arc::default(),
        }
    }

    /// As [`Handle::reload`](crate::Handle::reload).
    ///
    /// # Errors
    ///
    /// As [`Handle::reload`](crate::Handle::reload).
    pub fn reload(&self, acceptor: impl TlsAcceptor) -> Result<(), Error> {
        let _writing = self.lock();
        self.options.load().connection.check_acceptor(&acceptor)?;
        self.acceptor.replace(Arc::new(acceptor))
    }

    /// Replaces both, or nothing if the acceptor is refused. The caller has checked both.
    pub(super) fn replace(
        &self,
        acceptor: Arc<dyn TlsAcceptor>,
        options: ServerOptions,
    ) -> Result<(), Error> {
        let _writing = self.lock();
        self.acceptor.replace(acceptor)?;
        self.options.replace(options);
        Ok(())
    }

    /// A panic leaves nothing half done that the next call does not replace.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::{
        Server,
        tls::{Cleartext, Client, Start},
    };

    /// Notes whether the writers were locked out when the acceptor was dropped.
    struct Dropped {
        writing: Arc<Mutex<()>>,
        locked: Arc<OnceLock<bool>>,
    }

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.locked.set(self.writing.try_lock().is_err());
        }
    }

    impl TlsAcceptor for Dropped {
        fn backend(&self) -> &'static str {
            "none"
        }

        fn expects_client_hello(&self) -> bool {
            false
        }

        fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
            Cleartext.start(client)
        }
    }

    /// The old acceptor is dropped after the new one is in place and before the options are.
    #[test]
    fn no_other_call_comes_between_the_acceptor_and_its_options() {
        let options = || Server::builder(Cleartext).into_options().expect("valid");
        let (acceptor, first) = options();
        let current = Arc::new(CurrentAcceptor::new(acceptor));
        let reloader = Reloader::new(current, Arc::new(CurrentOptions::new(first)));
        let locked = Arc::<OnceLock<bool>>::default();
        let dropped = Dropped {
            writing: Arc::clone(&reloader.writing),
            locked: Arc::clone(&locked),
        };
        reloader.reload(dropped).expect("replaced");
        let (acceptor, second) = options();
        reloader.replace(acceptor, second).expect("replaced");
        assert_eq!(locked.get(), Some(&true));
    }
}
