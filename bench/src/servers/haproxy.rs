//! haproxy: a proxy, one thread for each worker, no logs. Without an upstream it returns small bodies from
//! memory.

use std::process::Command;

use super::launch::Launch;
use crate::{fixtures::Resource, shapes::Service};

pub fn command(launch: &Launch) -> anyhow::Result<Command> {
    let certificate = std::fs::read_to_string(&launch.credentials.certificate)?;
    let key = std::fs::read_to_string(&launch.credentials.key)?;
    let pem = launch.write("both.pem", &format!("{certificate}{key}"))?;
    let service = match launch.service {
        Service::Proxy => format!(
            r#"    option forwardfor
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Forwarded "for=%[src];host=%[req.hdr(host)];proto=https"
    default_backend app
backend app
    server app {} pool-max-conn 400
"#,
            launch.upstream()?
        ),
        Service::Own | Service::Files => [Resource::Tiny, Resource::K16]
            .map(|resource| {
                let (name, file) = (resource.name(), launch.site.fixtures.body(resource));
                format!(
                    "    http-request return status 200 content-type application/octet-stream \
                     file {} if {{ path /{name} }}\n",
                    file.display()
                )
            })
            .concat(),
    };
    let text = format!(
        r#"global
    nbthread {workers}
    maxconn 4096
    # Windows of 1 MiB, the default of corelane.
    tune.h2.initial-window-size 1048576
    tune.h2.max-concurrent-streams 200
    # A body that it returns has to fit, with its head.
    tune.bufsize 20480
defaults
    mode http
    timeout connect 5s
    timeout client 1d
    timeout server 60s
    http-reuse always
frontend tls
    bind {addr} ssl crt {pem} alpn h2,http/1.1 ssl-min-ver TLSv1.3
{service}"#,
        workers = launch.workers,
        addr = launch.addr,
        pem = pem.display(),
    );
    let file = launch.write("haproxy.cfg", &text)?;
    let mut command = launch.pinned("haproxy");
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}
