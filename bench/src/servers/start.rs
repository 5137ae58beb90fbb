//! Starts a server.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use anyhow::Context;

use super::{
    caddy, command, h2o, haproxy, launch::Launch, nghttpd, nginx, running::Running, rust, upstream,
};
use crate::{
    contenders::Contender,
    options::Http2Engine,
    server::{Backend, Server},
    shapes::{Service, Shape},
    site::Site,
};

/// Returns when the server accepts connections.
pub fn start(contender: &Contender, shape: &Shape, site: &Site) -> anyhow::Result<Running> {
    start_with(contender, shape, site, &[], Duration::from_secs(15))
}

/// As [`start`], with further arguments, and a time limit.
pub fn start_with(
    contender: &Contender,
    shape: &Shape,
    site: &Site,
    arguments: &[String],
    limit: Duration,
) -> anyhow::Result<Running> {
    let scratch = site.fixtures.scratch()?;
    // Bound until the server starts, so that the kernel gives the port to no other process.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let addr = port.local_addr()?;
    let service = shape.service;
    let launch = Launch {
        site,
        scratch: scratch.path(),
        addr,
        group: contender.group,
        workers: contender.workers,
        service,
        http: shape.http,
        upstream: match service {
            Service::Proxy => Some(upstream::running(site)?),
            Service::Own | Service::Files => None,
        },
        credentials: site.fixtures.credentials(shape.key_type),
    };
    let mut command = match contender.server {
        Server::Corelane(backend) if service == Service::Own => {
            rust::corelane(&launch, backend, Http2Engine::H2)?
        }
        Server::Corelane(backend) => command::command(&launch, backend, false)?,
        Server::CorelaneHttp2(backend) => rust::corelane(&launch, backend, Http2Engine::Corelane)?,
        Server::Command { access_log } => command::command(&launch, Backend::Rustls, access_log)?,
        Server::Hyper(backend) => rust::peer(&launch, "hyper", backend),
        Server::Axum => rust::peer(&launch, "axum-server", Backend::Rustls),
        Server::Xitca(backend) => rust::peer(&launch, "xitca-http", backend),
        Server::XitcaUring => rust::xitca_uring(&launch),
        Server::Actix(backend) => rust::peer(&launch, "actix-web", backend),
        Server::Ntex(backend) => rust::peer(&launch, "ntex", backend),
        Server::Floor(engine) => rust::floor(&launch, engine),
        Server::Nginx => nginx::command(&launch)?,
        Server::H2o => h2o::command(&launch)?,
        Server::Nghttpd => nghttpd::command(&launch),
        Server::Haproxy => haproxy::command(&launch)?,
        Server::Caddy => caddy::command(&launch)?,
    };
    command.args(arguments);
    drop(port);
    Running::spawn(command, addr, scratch, limit)
}
