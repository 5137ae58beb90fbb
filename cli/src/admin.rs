//! Options of the admin port.

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use clap::Args;
use corelane_ops::Admin;

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Answer /metrics, /healthz and /readyz over plain HTTP/1.1 on this address; a port alone means
    /// 127.0.0.1. [default: no admin port]
    #[arg(long, value_name = "[ADDR:]PORT")]
    admin: Option<AdminAddr>,

    /// Name that requests to the admin port may use as their host, beside addresses and localhost;
    /// repeatable. Others get 421. [default: none on a loopback address, all on other addresses]
    #[arg(long, value_name = "NAME", requires = "admin")]
    admin_host: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct AdminAddr(SocketAddr);

impl FromStr for AdminAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        match port.parse() {
            Ok(port) => Ok(Self((Ipv4Addr::LOCALHOST, port).into())),
            Err(_) => text
                .parse()
                .map(Self)
                .map_err(|_| "expected a port, or an address and a port as in [::1]:9090".into()),
        }
    }
}

impl AdminArgs {
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.admin.map(|AdminAddr(addr)| addr)
    }

    /// The admin port of the options.
    pub(crate) fn admin(&self) -> Option<Admin> {
        let admin = Admin::new(self.addr()?);
        Some(self.admin_host.iter().fold(admin, Admin::host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        for (text, addr) in [
            ("9090", Some("127.0.0.1:9090")),
            (":9090", Some("127.0.0.1:9090")),
            ("0.0.0.0:9090", Some("0.0.0.0:9090")),
            ("[::1]:0", Some("[::1]:0")),
            ("localhost:9090", None),
            ("127.0.0.1", None),
            ("", None),
            ("99999", None),
        ] {
            let parsed = text.parse::<AdminAddr>().ok();
            assert_eq!(
                parsed.map(|it| it.0.to_string()).as_deref(),
                addr,
                "{text:?}"
            );
        }
    }
}
