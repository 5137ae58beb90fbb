//! The server behind the proxies: nginx with the bodies as files, without TLS, on the client's core.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context;

use super::{launch::is_root, running::Running};
use crate::{cores, site::Site};

/// Its address. The first call starts it.
pub fn running(site: &Site) -> anyhow::Result<SocketAddr> {
    if let Some(running) = site.upstream.get() {
        return Ok(running.addr);
    }
    let running = start(site).context("the upstream")?;
    Ok(site.upstream.get_or_init(|| running).addr)
}

fn start(site: &Site) -> anyhow::Result<Running> {
    let scratch = site.fixtures.scratch()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let addr = port.local_addr()?;
    let user = if is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off;
{user}
pid {scratch}/pid;
error_log stderr error;
worker_processes 1;
worker_rlimit_nofile 4096;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    default_type application/octet-stream;
    open_file_cache max=64 inactive=1d;
    open_file_cache_valid 1d;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 1d;
    keepalive_time 1d;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    server {{
        listen {addr};
        root {bodies};
    }}
}}
",
        scratch = scratch.path().display(),
        bodies = site.fixtures.bodies().display(),
    );
    let file = scratch.path().join("nginx.conf");
    std::fs::write(&file, text)?;
    let mut command = cores::pinned(&[site.cores.client], "nginx");
    command.args(["-e", "stderr", "-c"]).arg(file);
    drop(port);
    Running::spawn(command, addr, scratch, Duration::from_secs(15))
}
