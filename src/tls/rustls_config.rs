//! Builds rustls' configuration from the configuration that all backends share.

use std::sync::Arc;

use ::rustls::{
    ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, SupportedKxGroup},
    server::{
        NoServerSessionStorage, ProducesTickets, ResolvesServerCert, StoresServerSessions,
        danger::ClientCertVerifier,
    },
    version::{TLS12, TLS13},
};

use super::{
    TicketKeys, TlsConfig,
    accepted_keys::AcceptedKeys,
    algorithms::{Available, preferred},
    client_hello::ClientHello,
    client_verifier::ClientPolicy,
    key_log::KeyLog,
    rustls_identity::{BACKEND, certified_key},
    rustls_key_log::RustlsKeyLog,
    rustls_stapling::resolver,
    tickets::{self, SessionCache},
};
use crate::{
    alpn::ProtocolName,
    error::Error,
    negotiated::{CipherSuite, NamedGroup, TlsVersion},
};

/// Sessions in memory, for clients that resume by session id (TLS 1.2). Most clients use tickets, which
/// need no memory here.
const SESSION_CACHE: usize = 4096;

/// A crypto provider, and all that it could have enabled.
pub(super) struct Provider {
    enabled: CryptoProvider,
    cipher_suites: Vec<SupportedCipherSuite>,
    groups: Vec<&'static dyn SupportedKxGroup>,
}

impl From<&CryptoProvider> for Provider {
    fn from(provider: &CryptoProvider) -> Self {
        Self {
            enabled: provider.clone(),
            cipher_suites: provider.cipher_suites.clone(),
            groups: provider.kx_groups.clone(),
        }
    }
}

impl Provider {
    /// The one that is compiled in.
    pub(super) fn compiled_in() -> Option<Self> {
        cfg_if::cfg_if! {
            if #[cfg(feature = "aws-lc-rs")] {
                use ::rustls::crypto::aws_lc_rs as crypto;
            } else if #[cfg(feature = "ring")] {
                use ::rustls::crypto::ring as crypto;
            }
        }
        cfg_if::cfg_if! {
            if #[cfg(any(feature = "aws-lc-rs", feature = "ring"))] {
                Some(Self {
                    enabled: crypto::default_provider(),
                    cipher_suites: crypto::ALL_CIPHER_SUITES.to_vec(),
                    groups: crypto::ALL_KX_GROUPS.to_vec(),
                })
            } else {
                None
            }
        }
    }

    /// With the cipher suites and groups of the configuration, if it has any.
    fn restricted(
        mut self,
        config: &TlsConfig,
        versions: &[TlsVersion],
    ) -> Result<CryptoProvider, Error> {
        if self.enabled.fips() {
            self.cipher_suites.retain(SupportedCipherSuite::fips);
            self.groups.retain(|group| group.fips());
        }
        let suites = self.cipher_suites.iter().map(number);
        let available = Available {
            backend: BACKEND,
            cipher_suites: suites.collect(),
            groups: self.groups.iter().map(|group| named(*group)).collect(),
        };
        available.check(config, versions)?;
        if !config.cipher_suites.is_empty() {
            self.enabled.cipher_suites = pick(&config.cipher_suites, &self.cipher_suites, number);
        }
        if !config.groups.is_empty() {
            self.enabled.kx_groups = pick(&config.groups, &self.groups, |group| named(*group));
        }
        Ok(self.enabled)
    }
}

fn number(suite: &SupportedCipherSuite) -> CipherSuite {
    CipherSuite(suite.suite().into())
}

fn named(group: &dyn SupportedKxGroup) -> NamedGroup {
    NamedGroup(group.name().into())
}

/// Those with these numbers, in their order.
fn pick<N: PartialEq, T: Copy>(wanted: &[N], all: &[T], number: impl Fn(&T) -> N) -> Vec<T> {
    let found = wanted
        .iter()
        .map(|wanted| all.iter().find(|one| number(one) == *wanted));
    found.flatten().copied().collect()
}

/// The configurations of an acceptor.
#[derive(Clone)]
pub(super) struct Configs {
    pub(super) default: Arc<ServerConfig>,
    /// For each of several groups, in order of preference, one with this group only: rustls itself
    /// follows the client's order.
    by_group: Arc<[(NamedGroup, Arc<ServerConfig>)]>,
}

impl From<Arc<ServerConfig>> for Configs {
    fn from(default: Arc<ServerConfig>) -> Self {
        Self {
            default,
            by_group: Arc::default(),
        }
    }
}

impl Configs {
    pub(super) fn new(
        config: &TlsConfig,
        provider: Provider,
        accepted: &AcceptedKeys,
        keys: Option<&TicketKeys>,
    ) -> Result<Self, Error> {
        let (numbers, versions): (&[_], _) = match config.min_version {
            TlsVersion::TLS_1_2 => (
                &[TlsVersion::TLS_1_3, TlsVersion::TLS_1_2],
                vec![&TLS13, &TLS12],
            ),
            TlsVersion::TLS_1_3 => (&[TlsVersion::TLS_1_3], vec![&TLS13]),
            other => {
                return Err(Error::unsupported(
                    BACKEND,
                    &format!("min_version {other}"),
                    "use TLS 1.2 or TLS 1.3",
                ));
            }
        };
        let provider = Arc::new(provider.restricted(config, numbers)?);
        let certified = certified_key(&config.identity, &provider, accepted)
            .map_err(|error| config.identity.locate(error))?;
        let clients = ClientPolicy::new(config.client_auth.as_ref(), &provider)?;
        let parts = Parts {
            versions,
            verifier: clients.verifier,
            resolver: resolver(certified, config.identity.ocsp_response()),
            key_log: match config.key_log {
                true => KeyLog::open()?,
                false => None,
            },
            resumption: Resumption::new(config, keys, &clients.tickets)?,
        };
        let default = parts.config(config, Arc::clone(&provider))?;
        let single = |group: &&'static dyn SupportedKxGroup| {
            let only = CryptoProvider {
                kx_groups: vec![*group],
                ..CryptoProvider::clone(&provider)
            };
            Ok((named(*group), parts.config(config, Arc::new(only))?))
        };
        let by_group = match config.groups.len() {
            0 | 1 => Arc::default(),
            _ => provider
                .kx_groups
                .iter()
                .map(single)
                .collect::<Result<_, Error>>()?,
        };
        Ok(Self { default, by_group })
    }

    /// The cipher suites of all of them.
    pub(super) fn cipher_suites(&self) -> Vec<CipherSuite> {
        let suites = &self.default.crypto_provider().cipher_suites;
        suites.iter().map(number).collect()
    }

    /// The configuration for this client.
    pub(super) fn of(&self, client: Option<&ClientHello>) -> &Arc<ServerConfig> {
        let chosen = client.and_then(|client| preferred(&self.by_group, client, true));
        chosen.unwrap_or(&self.default)
    }
}

/// What the configurations of an acceptor share.
struct Parts {
    versions: Vec<&'static SupportedProtocolVersion>,
    verifier: Arc<dyn ClientCertVerifier>,
    resolver: Arc<dyn ResolvesServerCert>,
    key_log: Option<Arc<KeyLog>>,
    resumption: Resumption,
}

impl Parts {
    fn config(
        &self,
        config: &TlsConfig,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<ServerConfig>, Error> {
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .map_err(|error| {
                Error::config("the crypto provider lacks a TLS version").with_source(error)
            })?
            .with_client_cert_verifier(Arc::clone(&self.verifier))
            .with_cert_resolver(Arc::clone(&self.resolver));
        let protocols = config.alpn_protocols.iter();
        server.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        server.ignore_client_order = !config.cipher_suites.is_empty();
        self.resumption.set(&mut server);
        if let Some(log) = &self.key_log {
            server.key_log = Arc::new(RustlsKeyLog(Arc::clone(log)));
        }
        for change in config.rustls.iter() {
            change(&mut server);
        }
        let first = config.alpn_protocols.first().map(ProtocolName::as_bytes);
        if server.alpn_protocols.first().map(Vec::as_slice) != first {
            return Err(Error::config(
                "TlsConfig::rustls changed the first of alpn_protocols: set TlsConfig::alpn_protocols \
                 instead",
            ));
        }
        check_early_data(&server).map_err(|error| error.at("TlsConfig::rustls"))?;
        Ok(Arc::new(server))
    }
}

/// How sessions resume.
enum Resumption {
    Never,
    FromMemory(Arc<dyn StoresServerSessions>),
    FromTickets(Arc<dyn StoresServerSessions>, Arc<dyn ProducesTickets>),
}

impl Resumption {
    fn new(config: &TlsConfig, keys: Option<&TicketKeys>, policy: &[u8]) -> Result<Self, Error> {
        if !config.session_resumption {
            return match config.ticket_keys {
                None => Ok(Self::Never),
                Some(_) => Err(Error::config(
                    "ticket_keys need session resumption: remove them, or turn session_resumption on",
                )),
            };
        }
        let lifetime = keys.map_or(TicketKeys::LIFETIME, |keys| keys.lifetime);
        let sessions = SessionCache::new(SESSION_CACHE, lifetime);
        Ok(match keys {
            None => Self::FromMemory(sessions),
            Some(keys) => Self::FromTickets(sessions, tickets::ticketer(keys, policy)?),
        })
    }

    fn set(&self, server: &mut ServerConfig) {
        match self {
            Self::Never => {
                server.session_storage = Arc::new(NoServerSessionStorage {});
                server.send_tls13_tickets = 0;
            }
            Self::FromMemory(sessions) => server.session_storage = Arc::clone(sessions),
            Self::FromTickets(sessions, ticketer) => {
                server.session_storage = Arc::clone(sessions);
                server.ticketer = Arc::clone(ticketer);
            }
        }
    }
}

/// A session would lose the requests in it.
pub(super) fn check_early_data(server: &ServerConfig) -> Result<(), Error> {
    match server.max_early_data_size {
        0 => Ok(()),
        size => Err(Error::unsupported(
            BACKEND,
            &format!("early data (max_early_data_size is {size})"),
            "requests in it would be lost: set ServerConfig::max_early_data_size to 0",
        )),
    }
}
