//! To join a port that is in use: what has to be so for it, and what to do where it was not meant.

use std::{error::Error as _, fs, io};

use corelane::{Chain, Error};

use super::RestartArgs;

/// Says what a server that joins another one loses when that one ends, and what prevents it.
pub(crate) fn look_at_the_kernel() {
    const FILE: &str = "/proc/sys/net/ipv4/tcp_migrate_req";
    match fs::read_to_string(FILE) {
        Ok(value) if value.trim() != "0" => {}
        Ok(_) => tracing::warn!(
            "--takeover: when one of the servers on this port ends, clients lose the connections that \
             are in their TCP handshake with it; to have the kernel give them to the other one: \
             sysctl net.ipv4.tcp_migrate_req=1"
        ),
        Err(error) => tracing::warn!(
            %error,
            "--takeover: this kernel has no net.ipv4.tcp_migrate_req (Linux 5.14), so clients lose the \
             connections that are in their TCP handshake with a server that ends; corelane upgrade \
             loses none"
        ),
    }
}

/// To be told with an error of `bind`: what to do where a server was started twice.
pub(crate) fn advise(error: Error, args: &RestartArgs) -> Box<dyn std::error::Error> {
    let in_use = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    if !in_use {
        return error.into();
    }
    let advice = match args.takeover {
        true => {
            "--takeover joins servers of the same user that share the port, as all of corelane do"
        }
        false => {
            "if it is a corelane, `corelane upgrade` replaces it and --takeover joins it; else end it, \
             or take another port"
        }
    };
    format!("{}; {advice}", Chain(&error)).into()
}
