//! Networks in options.

use std::net::IpAddr;

use corelane::IpNet;

/// A network, or the network of one address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let address = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(address)
        .map_err(|_| "expected a network, for instance 10.0.0.0/8, or an address".into())
}
