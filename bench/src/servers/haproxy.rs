//! haproxy: a proxy only, one thread for each worker, no logs.

use std::process::Command;

use super::launch::Launch;

pub fn command(launch: &Launch) -> anyhow::Result<Command> {
    let certificate = std::fs::read_to_string(&launch.credentials.certificate)?;
    let key = std::fs::read_to_string(&launch.credentials.key)?;
    let pem = launch.write("both.pem", &format!("{certificate}{key}"))?;
    let text = format!(
        r#"global
    nbthread {workers}
    maxconn 4096
    # Windows of 1 MiB, the default of corelane.
    tune.h2.initial-window-size 1048576
    tune.h2.max-concurrent-streams 200
defaults
    mode http
    timeout connect 5s
    timeout client 1d
    timeout server 60s
    option forwardfor
    http-reuse always
frontend tls
    bind {addr} ssl crt {pem} alpn h2 ssl-min-ver TLSv1.3
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Forwarded "for=%[src];host=%[req.hdr(host)];proto=https"
    default_backend app
backend app
    server app {upstream} pool-max-conn 400
"#,
        workers = launch.workers,
        addr = launch.addr,
        pem = pem.display(),
        upstream = launch.upstream()?,
    );
    let file = launch.write("haproxy.cfg", &text)?;
    let mut command = launch.pinned("haproxy");
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}
