//! The options of a connection.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::{
    alpn::AlpnMissing,
    config::{Http2Config, Limits},
    error::Error,
};

/// How connections are served.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// How the server answers clients that offer no protocol by ALPN.
    pub alpn_missing: AlpnMissing,
    /// Networks of proxies, whose connections begin with a header of the PROXY protocol: see
    /// [`Builder::proxy_protocol`](crate::Builder::proxy_protocol).
    pub proxy_protocol: Vec<IpNet>,
    /// Time limits.
    pub limits: Limits,
    /// Windows and limits of HTTP/2.
    pub http2: Http2Config,
}

impl ConnectionOptions {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let is_mapped = |network: &&IpNet| network.addr().to_canonical() != network.addr();
        if let Some(mapped) = self.proxy_protocol.iter().find(is_mapped) {
            return Err(Error::config(format!(
                "the PROXY protocol network {mapped} is an IPv4 network in IPv6 form: write it as \
                 IPv4, for example 10.0.0.0/8"
            )));
        }
        self.limits.validate()?;
        self.http2.validate()
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(super) fn is_proxy(&self, addr: SocketAddr) -> bool {
        // A listener for both families reports an IPv4 address as an IPv6 address.
        let ip = addr.ip().to_canonical();
        let mut networks = self.proxy_protocol.iter();
        networks.any(|network| network.contains(&ip))
    }
}
