//! The backend under test, as the rows see it.

use std::sync::{Arc, OnceLock};

use corelane::{
    Error,
    tls::{TlsAcceptor, TlsConfig, TlsVersion},
};

use crate::{capability::Capability, certs, session::Peer};

type Make = dyn Fn(&TlsConfig) -> Result<Arc<dyn TlsAcceptor>, Error> + Send + Sync;

pub(crate) struct Backend {
    make: Box<Make>,
    pub(crate) lacks: Vec<(Capability, &'static str)>,
    pub(crate) plain: Option<fn(&mut [u8])>,
    acceptor: OnceLock<Arc<dyn TlsAcceptor>>,
}

impl Backend {
    pub(crate) fn new(make: Box<Make>) -> Self {
        Self {
            make,
            lacks: Vec::new(),
            plain: None,
            acceptor: OnceLock::new(),
        }
    }

    /// Why it lacks this, if it does.
    pub(crate) fn lack(&self, capability: Capability) -> Option<&'static str> {
        let mut lacks = self.lacks.iter();
        lacks.find_map(|&(it, why)| (it == capability).then_some(why))
    }

    /// The configuration of most rows: a chain of two certificates for `localhost`.
    pub(crate) fn config() -> TlsConfig {
        TlsConfig::new(certs::LOCALHOST.identity())
    }

    pub(crate) fn make(&self, config: &TlsConfig) -> Result<Arc<dyn TlsAcceptor>, Error> {
        (self.make)(config)
    }

    /// An acceptor that is expected to be made.
    pub(crate) fn acceptor_of(&self, config: &TlsConfig) -> Arc<dyn TlsAcceptor> {
        self.make(config)
            .unwrap_or_else(|error| panic!("no acceptor is made: {error:?}"))
    }

    /// The acceptor of [`config`](Self::config), which rows share.
    pub(crate) fn acceptor(&self) -> &dyn TlsAcceptor {
        &**self
            .acceptor
            .get_or_init(|| self.acceptor_of(&Self::config()))
    }

    /// The versions of TLS that it speaks.
    pub(crate) fn versions(&self) -> Vec<TlsVersion> {
        let all = [
            (TlsVersion::TLS_1_2, Capability::Tls12),
            (TlsVersion::TLS_1_3, Capability::Tls13),
        ];
        let spoken = all.iter().filter(|_| self.plain.is_none());
        let spoken = spoken.filter(|(_, capability)| self.lack(*capability).is_none());
        spoken.map(|(version, _)| *version).collect()
    }

    /// How clients can talk to it: by each version of TLS, or without TLS.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        match self.plain {
            Some(plain) => vec![Peer::Plain(plain)],
            None => self.versions().into_iter().map(Peer::Tls).collect(),
        }
    }
}
