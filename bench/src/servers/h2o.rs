//! h2o: static files, one thread for each worker, no logs. A handler of three lines in mruby answers
//! uploads; h2o calls it when it has read the whole body.

use std::process::Command;

use super::launch::{Launch, is_root};
use crate::{shapes::Service, terms::Group};

pub fn command(launch: &Launch) -> anyhow::Result<Command> {
    // The workers must read the harness's files.
    let user = if is_root() { "user: root" } else { "" };
    let lifted = match launch.site.limits_lifted {
        true => {
            "# It would stop accepting at 1,024.
max-connections: 4096
handshake-timeout: 60
http2-idle-timeout: 86400"
        }
        false => "",
    };
    let service = match launch.service {
        Service::Proxy => format!(
            "proxy.reverse.url: http://{}/
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 60000",
            launch.upstream()?
        ),
        Service::Own | Service::Files => {
            format!("file.dir: {}", launch.site.fixtures.bodies().display())
        }
    };
    let text = format!(
        r##"{user}
num-threads: {workers}
{lifted}
listen:
  host: {host}
  port: {port}
  ssl:
    certificate-file: {certificate}
    key-file: {key}
    # A self-signed certificate has no OCSP responder.
    ocsp-update-interval: 0
hosts:
  default:
    paths:
      /upload:
        mruby.handler: |
          Proc.new do |env|
            [200, {{"content-type" => "application/octet-stream"}}, ["#{{env["CONTENT_LENGTH"]}}\n"]]
          end
      /:
        {service}
"##,
        workers = launch.workers,
        host = launch.addr.ip(),
        port = launch.addr.port(),
        certificate = launch.credentials.certificate.display(),
        key = launch.credentials.key.display(),
    );
    let file = launch.write("h2o.conf", &text)?;
    let mut command = launch.pinned("h2o");
    command.arg("-c").arg(file);
    if launch.group == Group::Tls12 {
        // h2o 2.2 has no option for the highest TLS version.
        launch.disable_tls13(&mut command)?;
    }
    Ok(command)
}
