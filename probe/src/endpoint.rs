//! Where to connect to a server.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::error::Error;

/// A host and a port to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// A host name or an address; an IPv6 address has no brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Which addresses of the host to use. Default: all of them.
    pub family: Option<AddressFamily>,
}

/// The version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Endpoint {
    /// A host and a port, with any of the host's addresses.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            family: None,
        }
    }

    /// Uses addresses of this family only.
    #[must_use]
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = Some(family);
        self
    }

    /// The address to connect to. If the host has several, it is the first that accepts a
    /// connection within `timeout`, or the first of all when none does.
    ///
    /// # Errors
    ///
    /// The name cannot be resolved, or has no address of the wanted family.
    pub fn resolve(&self, timeout: Duration) -> Result<SocketAddr, Error> {
        let host = &*self.host;
        let resolved = (host, self.port)
            .to_socket_addrs()
            .map_err(|error| Error::address(format!("cannot resolve {host:?}: {error}")))?;
        let mut addrs = Vec::new();
        for addr in resolved {
            let wanted = match self.family {
                None => true,
                Some(AddressFamily::Ipv4) => addr.is_ipv4(),
                Some(AddressFamily::Ipv6) => addr.is_ipv6(),
            };
            if wanted && !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        match addrs[..] {
            [] => {
                let family = match self.family {
                    None => "",
                    Some(AddressFamily::Ipv4) => "IPv4 ",
                    Some(AddressFamily::Ipv6) => "IPv6 ",
                };
                Err(Error::address(format!("{host:?} has no {family}address")))
            }
            [only] => Ok(only),
            [first, ..] => {
                let accepts =
                    |addr: &&SocketAddr| TcpStream::connect_timeout(addr, timeout).is_ok();
                Ok(addrs.iter().find(accepts).copied().unwrap_or(first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_addresses_of_the_wanted_family() {
        let timeout = Duration::from_secs(1);
        let v4 = Endpoint::new("127.0.0.1", 443);
        assert_eq!(
            v4.resolve(timeout).expect("an address"),
            SocketAddr::from(([127, 0, 0, 1], 443))
        );
        let none = v4.family(AddressFamily::Ipv6).resolve(timeout);
        let error = none.expect_err("an IPv4 address");
        assert!(error.is_address());
        assert_eq!(error.to_string(), "\"127.0.0.1\" has no IPv6 address");
    }
}
