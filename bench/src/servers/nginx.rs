//! nginx: static files, each opened once; no logs; no limit on the age and requests of a connection.

use std::process::Command;

use super::launch::{Launch, is_root};
use crate::terms::Group;

pub fn command(launch: &Launch) -> anyhow::Result<Command> {
    let scratch = launch.scratch.display();
    // The workers must read the harness's files.
    let user = if is_root() { "user root;" } else { "" };
    let version = match launch.group {
        Group::Tls13 => "TLSv1.3",
        Group::Tls12 => "TLSv1.2",
    };
    let lifted = match launch.site.limits_lifted {
        true => {
            "# By default nginx closes a connection after 1,000 requests.
    keepalive_requests 1000000000;
    keepalive_timeout 1d;
    keepalive_time 1d;
    # The default of hyper and corelane.
    http2_max_concurrent_streams 200;"
        }
        false => "",
    };
    let text = format!(
        "daemon off;
{user}
pid {scratch}/pid;
error_log stderr error;
worker_processes {workers};
worker_rlimit_nofile 4096;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    default_type application/octet-stream;
    open_file_cache max=64 inactive=1d;
    open_file_cache_valid 1d;
    {lifted}
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols {version};
    ssl_session_cache shared:tls:16m;
    server {{
        listen {addr} ssl http2;
        root {bodies};
    }}
}}
",
        workers = launch.workers,
        certificate = launch.credentials.certificate.display(),
        key = launch.credentials.key.display(),
        addr = launch.addr,
        bodies = launch.site.fixtures.bodies().display(),
    );
    let file = launch.write("nginx.conf", &text)?;
    let mut command = launch.pinned("nginx");
    // nginx opens Debian's default error log before it reads the configuration.
    command.args(["-e", "stderr", "-c"]).arg(file);
    Ok(command)
}
