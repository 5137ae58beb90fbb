//! corelane's command: its demonstration, files with `--root`, or a proxy with `--upstream`.

use std::process::Command;

use super::launch::Launch;
use crate::{server::Backend, shapes::Service};

pub fn command(launch: &Launch, backend: Backend, access_log: bool) -> anyhow::Result<Command> {
    let mut command = launch.pinned(launch.site.builds.command());
    command
        .args(["--listen", &launch.addr.to_string()])
        .args(["--workers", &launch.workers.to_string()])
        .arg("--cert")
        .arg(&launch.credentials.certificate)
        .arg("--key")
        .arg(&launch.credentials.key)
        .args(["--tls", backend.name()])
        .args(["--driver", launch.site.builds.driver.name()])
        .args(launch.handshake_timeout());
    if access_log {
        command
            .arg("--access-log")
            .arg(launch.scratch.join("access.log"));
    }
    match launch.service {
        Service::Proxy => {
            command.arg("--upstream");
            command.arg(format!("http://{}", launch.upstream()?));
        }
        // The demonstration answers from memory.
        Service::Own => {
            command.args(["--http1", "on"]);
        }
        Service::Files => {
            command.arg("--root").arg(launch.site.fixtures.bodies());
        }
    }
    Ok(command)
}
