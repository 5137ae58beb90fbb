//! Where the server is.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::args::AlpnArgs;

const HTTPS: u16 = 443;

/// The address to ask: of several that a name has, the first that takes a connection, or the first
/// when none does.
pub(super) fn address(args: &AlpnArgs, timeout: Duration) -> Result<SocketAddr, String> {
    let target = args.connect.as_ref().unwrap_or(&args.target);
    let port = target.port.or(args.target.port).unwrap_or(HTTPS);
    let host = match &*target.host {
        "" => &args.target.host,
        host => host,
    };
    let resolved = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve {host:?}: {error}"))?;
    let mut addrs = Vec::new();
    for addr in resolved {
        let asked_for = (addr.is_ipv4() || !args.ipv4) && (addr.is_ipv6() || !args.ipv6);
        if asked_for && !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    match addrs[..] {
        [] => Err(format!(
            "{host:?} has no {}address",
            match (args.ipv4, args.ipv6) {
                (true, _) => "IPv4 ",
                (_, true) => "IPv6 ",
                _ => "",
            }
        )),
        [only] => Ok(only),
        [first, ..] => {
            let answers = |addr: &&SocketAddr| TcpStream::connect_timeout(addr, timeout).is_ok();
            Ok(addrs.iter().find(answers).copied().unwrap_or(first))
        }
    }
}
