//! A server's configuration by its options: read when it starts, checked or reloaded.

use corelane::{Affinity, Builder, Server};

use crate::{
    args::{Args, Proxies},
    expiry::Loaded,
    routes::Table,
    tls,
};

/// A server that is configured but has no sockets yet.
pub(crate) struct Configured {
    pub(crate) builder: Builder,
    pub(crate) tls: tls::Description,
    pub(crate) loaded: Loaded,
    pub(crate) routes: Table,
}

/// Reads the files.
pub(crate) fn configure(args: &Args) -> Result<Configured, corelane::Error> {
    let routes = Table::new(&args.routes)?;
    let tls = tls::choose(args)?;
    let builder = Server::builder(tls.acceptor)
        .driver(args.driver.into())
        .share_port(args.restart.takeover)
        .protocols(args.protocols())
        .http2_engine(args.http2_engine.into())
        .alpn_missing(args.alpn_missing.into())
        .upgrades(routes.has_upstreams())
        .proxy_protocol(
            args.proxy_protocol
                .iter()
                .filter_map(|proxies| match proxies {
                    Proxies::Network(network) => Some(*network),
                    Proxies::Unix => None,
                }),
        )
        .unix_proxy_protocol(args.proxy_protocol.contains(&Proxies::Unix))
        .unix_mode(args.unix_mode.0);
    Ok(Configured {
        builder: args.limits.set(with_workers(builder, args)),
        tls: tls.description,
        loaded: tls.loaded,
        routes,
    })
}

fn with_workers(mut builder: Builder, args: &Args) -> Builder {
    if let Some(workers) = args.workers.0 {
        builder = builder.workers(workers.get());
    }
    if args.no_affinity {
        builder = builder.affinity(Affinity::None);
    } else if !args.cpus.is_empty() {
        builder = builder.affinity(Affinity::Cpus(args.cpus.clone()));
    }
    builder
}
