//! Tells systemd that the process works, again and again (`WatchdogSec=`, `sd_watchdog_enabled(3)`).

use std::{env, io, thread, time::Duration};

use crate::{health::Health, systemd};

/// Starts a thread that notifies systemd while `/healthz` answers 200, if systemd expects it.
///
/// `replaces_server`: systemd expected it from the process that this one replaces.
pub(crate) fn start(health: Health, replaces_server: bool) -> io::Result<()> {
    let Some(limit) = limit(replaces_server) else {
        return Ok(());
    };
    // sd_watchdog_enabled(3) recommends half of the limit. In an upgrade, one process stops up to one
    // pause after its last notification, and the next one begins after another.
    let pause = limit / 3;
    thread::Builder::new()
        .name("corelane-dog".into())
        .spawn(move || {
            loop {
                thread::sleep(pause);
                if systemd::is_replaced() {
                    return;
                }
                if works(&health) {
                    systemd::works();
                }
            }
        })
        .map(drop)
}

fn limit(replaces_server: bool) -> Option<Duration> {
    if !replaces_server {
        return sd_notify::watchdog_enabled();
    }
    // WATCHDOG_PID is the process that this one replaces as the main process.
    let limit = env::var("WATCHDOG_USEC").ok()?;
    limit.parse().ok().map(Duration::from_micros)
}

fn works(health: &Health) -> bool {
    let response = health.response("/healthz");
    response.is_some_and(|(status, _)| status.is_success())
}
