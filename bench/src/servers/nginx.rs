//! nginx: static files, each opened once; no logs; no limit on the age and requests of a connection.

use std::process::Command;

use super::launch::{Launch, is_root};
use crate::{shapes::Service, terms::Group};

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
    let (upstream, service) = match launch.service {
        Service::Proxy => (
            format!(
                "upstream app {{ server {}; keepalive 400; keepalive_requests 1000000000; }}",
                launch.upstream()?
            ),
            // The fields that corelane sends.
            r#"location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header Forwarded "for=$remote_addr;host=$host;proto=$scheme";
        }"#
            .into(),
        ),
        Service::Own | Service::Files => {
            let bodies = launch.site.fixtures.bodies();
            (String::new(), format!("root {};", bodies.display()))
        }
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
    {upstream}
    server {{
        listen {addr} ssl http2;
        {service}
    }}
}}
",
        workers = launch.workers,
        certificate = launch.credentials.certificate.display(),
        key = launch.credentials.key.display(),
        addr = launch.addr,
    );
    let file = launch.write("nginx.conf", &text)?;
    let mut command = launch.pinned("nginx");
    // nginx opens Debian's default error log before it reads the configuration.
    command.args(["-e", "stderr", "-c"]).arg(file);
    Ok(command)
}
