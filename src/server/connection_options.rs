//! The options of a connection.

use std::{error::Error as StdError, future::Future, net::SocketAddr, sync::Arc};

use ipnet::IpNet;

use super::{protocol_handler::ProtocolHandlers, protocol_stream::ProtocolStream};
use crate::{
    alpn::{AlpnMissing, AlpnRule, ProtocolName},
    config::{Http2Config, Http2Engine, Limits},
    connection_info::ConnectionInfo,
    error::Error,
    tls::TlsAcceptor,
    upgrade::Policy,
};

/// The options of [`serve_connection`](crate::serve_connection). A server sets them by its
/// [`Builder`](crate::Builder).
///
/// ```
/// use corelane::{AlpnMissing, ConnectionOptions, Limits};
///
/// let options = ConnectionOptions::default()
///     .alpn_missing(AlpnMissing::Allow)
///     .limits(Limits::default().idle(std::time::Duration::from_secs(300)));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// The protocols to serve, best first. The first one that a client offers by ALPN is chosen. Default
    /// `h2` alone. See [`Builder::protocols`](crate::Builder::protocols).
    pub protocols: Vec<ProtocolName>,
    /// How the server treats clients without the ALPN extension. Default [`AlpnMissing::Reject`].
    pub alpn_missing: AlpnMissing,
    /// Networks whose connections begin with a header of the PROXY protocol, see
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol). Default: none.
    pub proxy_protocol: Vec<IpNet>,
    /// Whether connections on Unix sockets begin with a header of the PROXY protocol. Default: false.
    pub unix_proxy_protocol: bool,
    /// Time limits.
    pub limits: Limits,
    /// HTTP/2 settings.
    pub http2: Http2Config,
    /// The implementation of HTTP/2. Default [`Http2Engine::H2`].
    pub http2_engine: Http2Engine,
    /// Which requests can be upgraded.
    pub(super) upgrades: Policy,
    /// The handlers of protocols other than HTTP.
    pub(super) handlers: ProtocolHandlers,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            protocols: vec![ProtocolName::H2],
            alpn_missing: AlpnMissing::default(),
            proxy_protocol: Vec::new(),
            unix_proxy_protocol: false,
            limits: Limits::default(),
            http2: Http2Config::default(),
            http2_engine: Http2Engine::default(),
            upgrades: Policy::default(),
            handlers: ProtocolHandlers::default(),
        }
    }
}

impl ConnectionOptions {
    /// Sets [`protocols`](Self#structfield.protocols).
    #[must_use]
    pub fn protocols(mut self, names: impl IntoIterator<Item = ProtocolName>) -> Self {
        self.protocols = names.into_iter().collect();
        self
    }

    /// Sets the handler of a protocol, see [`Builder::protocol`](crate::Builder::protocol).
    #[must_use]
    pub fn protocol<H, F, E>(mut self, name: ProtocolName, handler: H) -> Self
    where
        H: Fn(ProtocolStream, Arc<ConnectionInfo>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        if !self.protocols.contains(&name) {
            self.protocols.push(name.clone());
        }
        self.handlers.insert(name, handler);
        self
    }

    /// Sets [`alpn_missing`](Self#structfield.alpn_missing).
    #[must_use]
    pub fn alpn_missing(mut self, alpn_missing: AlpnMissing) -> Self {
        self.alpn_missing = alpn_missing;
        self
    }

    /// Sets [`proxy_protocol`](Self#structfield.proxy_protocol).
    #[must_use]
    pub fn proxy_protocol(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.proxy_protocol = networks.into_iter().collect();
        self
    }

    /// Sets [`unix_proxy_protocol`](Self#structfield.unix_proxy_protocol).
    #[must_use]
    pub fn unix_proxy_protocol(mut self, expected: bool) -> Self {
        self.unix_proxy_protocol = expected;
        self
    }

    /// Sets [`limits`](Self#structfield.limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`http2`](Self#structfield.http2).
    #[must_use]
    pub fn http2(mut self, http2: Http2Config) -> Self {
        self.http2 = http2;
        self
    }

    /// Sets [`http2_engine`](Self#structfield.http2_engine).
    #[must_use]
    pub fn http2_engine(mut self, engine: Http2Engine) -> Self {
        self.http2_engine = engine;
        self
    }

    /// Sets whether requests can be upgraded, see [`Builder::upgrades`](crate::Builder::upgrades).
    #[cfg(feature = "upgrade")]
    #[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
    #[must_use]
    pub fn upgrades(mut self, allowed: bool) -> Self {
        self.upgrades.upgrades = allowed;
        self
    }

    /// Sets whether CONNECT opens tunnels, see [`Builder::connect`](crate::Builder::connect).
    #[cfg(feature = "upgrade")]
    #[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
    #[must_use]
    pub fn connect(mut self, allowed: bool) -> Self {
        self.upgrades.connect = allowed;
        self
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let is_mapped = |network: &&IpNet| network.addr().to_canonical() != network.addr();
        if let Some(mapped) = self.proxy_protocol.iter().find(is_mapped) {
            return Err(Error::config(format!(
                "the network {mapped} of the PROXY protocol is an IPv4 network in IPv6 notation: \
                 write it as IPv4, for example 10.0.0.0/8"
            )));
        }
        self.validate_protocols()?;
        self.limits.validate()?;
        self.http2.validate()
    }

    fn validate_protocols(&self) -> Result<(), Error> {
        if self.protocols.is_empty() {
            return Err(Error::config(
                "the list of protocols is empty: name at least one, for example h2",
            ));
        }
        for (index, name) in self.protocols.iter().enumerate() {
            if self.protocols[..index].contains(name) {
                return Err(Error::config(format!(
                    "the protocol {name} is listed twice"
                )));
            }
            let is_http = *name == ProtocolName::H2 || name.is_http1();
            match self.handlers.get(name) {
                Some(_) if is_http => {
                    return Err(Error::config(format!(
                        "the protocol {name} is served by the service: it can have no other handler"
                    )));
                }
                None if !is_http => {
                    return Err(Error::config(format!(
                        "the protocol {name} has no handler: set one by Builder::protocol"
                    )));
                }
                _ => {}
            }
            if name.is_http1() && !cfg!(feature = "http1") {
                return Err(Error::unsupported(
                    "this build",
                    &format!("the protocol {name}"),
                    "build corelane with the feature http1",
                ));
            }
        }
        Ok(())
    }

    /// Refuses an acceptor that would negotiate another protocol than these options, or none, or that is
    /// configured for something that a server does not support.
    pub(super) fn check_acceptor(&self, acceptor: &dyn TlsAcceptor) -> Result<(), Error> {
        acceptor.check()?;
        let (backend, protocols) = (acceptor.backend(), &self.protocols);
        if !acceptor.expects_client_hello() {
            let is_unreachable = |name: &&ProtocolName| self.handlers.get(name).is_some();
            return match protocols.iter().find(is_unreachable) {
                Some(name) => Err(Error::config(format!(
                    "no client can choose the protocol {name}: the backend {backend} has no TLS, and so \
                     no ALPN"
                ))),
                None => Ok(()),
            };
        }
        match acceptor.alpn_protocols() {
            // What follows is never chosen: the server refuses clients that offer nothing of its list.
            Some(names) if !names.starts_with(protocols) => Err(Error::config(format!(
                "the {backend} acceptor negotiates {names:?} by ALPN, but the server serves \
                 {protocols:?}: set TlsConfig::alpn_protocols and Builder::protocols to the same list"
            ))),
            _ => Ok(()),
        }
    }

    /// What a connection with these options speaks.
    pub(super) fn alpn_rule(&self) -> AlpnRule<'_> {
        AlpnRule {
            protocols: &self.protocols,
            missing: self.alpn_missing,
        }
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(super) fn is_proxy(&self, peer: Option<SocketAddr>) -> bool {
        let Some(peer) = peer else {
            return self.unix_proxy_protocol;
        };
        // A listener for both families reports IPv4 addresses in IPv6 notation.
        let ip = peer.ip().to_canonical();
        let mut networks = self.proxy_protocol.iter();
        networks.any(|network| network.contains(&ip))
    }
}
