//! The addresses that the server listens on.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use corelane::Error;
use corelane_ops::ListenAddr;

use crate::args::Args;

/// Finds two addresses of one port, and a Unix socket named twice. Otherwise the second socket would
/// find it in use by this process.
pub(crate) fn check(args: &Args) -> Result<(), Error> {
    let listen = args.listen.iter().map(|addr| ("--listen", addr.clone()));
    let admin = args.admin.addr().map(|addr| ("--admin", addr.into()));
    let addrs: Vec<_> = listen.chain(admin).collect();
    for (i, (flag, addr)) in addrs.iter().enumerate() {
        let same = |(_, other): &&(&str, ListenAddr)| conflict(addr, other);
        if let Some((first, other)) = addrs[..i].iter().find(same) {
            let what = match addr {
                ListenAddr::Tcp(_) => "port",
                ListenAddr::Unix(_) => "socket",
            };
            return Err(Error::config(format!(
                "{first} {other} and {flag} {addr} are one {what}: change or remove one of them"
            )));
        }
    }
    Ok(())
}

/// Whether one process cannot listen on both.
fn conflict(one: &ListenAddr, other: &ListenAddr) -> bool {
    let (ListenAddr::Tcp(one), ListenAddr::Tcp(other)) = (one, other) else {
        return one == other;
    };
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || any && one.is_ipv4() == other.is_ipv4())
}

/// Loopback, with IPv6 where this host has it.
pub(crate) fn default_addrs() -> Vec<ListenAddr> {
    const PORT: u16 = 8443;
    let mut addrs = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addrs.push(SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)));
    }
    addrs.into_iter().map(ListenAddr::Tcp).collect()
}
