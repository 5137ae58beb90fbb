//! nghttpd: static files. It reads an upload to the end and answers with the file of that name.

use std::process::Command;

use super::launch::Launch;

pub fn command(launch: &Launch) -> Command {
    let mut command = launch.pinned("nghttpd");
    command
        .args(["-a", &launch.addr.ip().to_string()])
        .args(["-n", &launch.workers.to_string()])
        // The defaults of hyper and corelane: 200 streams, windows of 1 MiB.
        .args(["-m", "200", "-w", "20", "-W", "20"])
        .arg("-d")
        .arg(launch.site.fixtures.bodies())
        .arg(launch.addr.port().to_string())
        .arg(&launch.credentials.key)
        .arg(&launch.credentials.certificate);
    command
}
