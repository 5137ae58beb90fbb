//! The options of a connection.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::{
    alpn::AlpnMissing,
    config::{Http2Config, Limits},
    error::Error,
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
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// How the server treats clients without the ALPN extension. Default [`AlpnMissing::Reject`].
    pub alpn_missing: AlpnMissing,
    /// Networks whose connections begin with a header of the PROXY protocol, see
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol). Default: none.
    pub proxy_protocol: Vec<IpNet>,
    /// Time limits.
    pub limits: Limits,
    /// HTTP/2 settings.
    pub http2: Http2Config,
}

impl ConnectionOptions {
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

    pub(super) fn validate(&self) -> Result<(), Error> {
        let is_mapped = |network: &&IpNet| network.addr().to_canonical() != network.addr();
        if let Some(mapped) = self.proxy_protocol.iter().find(is_mapped) {
            return Err(Error::config(format!(
                "the network {mapped} of the PROXY protocol is an IPv4 network in IPv6 notation: \
                 write it as IPv4, for example 10.0.0.0/8"
            )));
        }
        self.limits.validate()?;
        self.http2.validate()
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(super) fn is_proxy(&self, peer: SocketAddr) -> bool {
        // A listener for both families reports IPv4 addresses in IPv6 notation.
        let ip = peer.ip().to_canonical();
        let mut networks = self.proxy_protocol.iter();
        networks.any(|network| network.contains(&ip))
    }
}
