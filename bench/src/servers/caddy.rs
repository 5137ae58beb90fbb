//! caddy: files or a proxy, one thread for each worker, no logs.

use std::process::Command;

use super::launch::Launch;
use crate::shapes::Service;

pub fn command(launch: &Launch) -> anyhow::Result<Command> {
    let service = match launch.service {
        Service::Proxy => format!(
            "reverse_proxy http://{} {{
        transport http {{
            keepalive_idle_conns_per_host 400
        }}
    }}",
            launch.upstream()?
        ),
        Service::Own | Service::Files => format!(
            "root * {}
    file_server",
            launch.site.fixtures.bodies().display()
        ),
    };
    let text = format!(
        "{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2
    }}
}}
https://:{port} {{
    bind {host}
    tls {certificate} {key} {{
        protocols tls1.3
    }}
    {service}
}}
",
        host = launch.addr.ip(),
        port = launch.addr.port(),
        certificate = launch.credentials.certificate.display(),
        key = launch.credentials.key.display(),
    );
    let file = launch.write("Caddyfile", &text)?;
    let mut command = launch.pinned("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(file)
        // Go's runtime and caddy's own files.
        .env("GOMAXPROCS", launch.workers.to_string())
        .env("HOME", launch.scratch)
        .env("XDG_DATA_HOME", launch.scratch)
        .env("XDG_CONFIG_HOME", launch.scratch);
    Ok(command)
}
