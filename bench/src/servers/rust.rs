//! The servers written in Rust, corelane's too: the programs of bench/peers, which all take the same
//! arguments.

use std::process::Command;

use super::launch::Launch;
use crate::{
    options::{Driver, Http2Engine},
    server::Backend,
    terms::{Group, Http},
};

pub fn corelane(launch: &Launch, backend: Backend, engine: Http2Engine) -> anyhow::Result<Command> {
    let mut command = peer(launch, "corelane", backend);
    command
        .args(["--driver", launch.site.builds.driver.name()])
        .args(["--http2-engine", engine.name()])
        .args(launch.handshake_timeout());
    if (backend, launch.group) == (Backend::Openssl, Group::Tls12) {
        // corelane leaves the highest version to the system's policy.
        launch.disable_tls13(&mut command)?;
    }
    Ok(command)
}

pub fn floor(launch: &Launch, engine: Http2Engine) -> Command {
    let mut command = peer(launch, "floor", Backend::Rustls);
    command.args(["--http2-engine", engine.name()]);
    command
}

pub fn xitca_uring(launch: &Launch) -> Command {
    let mut command = peer(launch, "xitca-http", Backend::Rustls);
    command.args(["--driver", Driver::IoUring.name()]);
    command
}

pub fn peer(launch: &Launch, name: &str, backend: Backend) -> Command {
    let mut command = launch.pinned(launch.site.builds.program(name));
    command
        .args(["--listen", &launch.addr.to_string()])
        .args(["--workers", &launch.workers.to_string()])
        .arg("--cert")
        .arg(&launch.credentials.certificate)
        .arg("--key")
        .arg(&launch.credentials.key)
        .arg("--bodies")
        .arg(launch.site.fixtures.bodies())
        .args(["--tls", backend.name()]);
    if launch.group == Group::Tls12 {
        command.arg("--tls12");
    }
    if launch.http == Http::Http1 {
        command.arg("--http1");
    }
    command
}
