//! Reloads the configuration file, certificates, OCSP responses, client CAs, revocation lists and ticket
//! keys: on SIGHUP, and by `--reload-certs`.

use std::{env, error::Error as StdError, time::Duration};

use corelane::{Chain, Reloader};
use corelane_ops::{Reload, Reloaded, Timing, WatchedFiles};

use crate::{
    args::Args,
    configuration::{self, Invocation, Values},
    configure::configure,
    expiry::Expiry,
    limits,
    routes::CurrentTable,
    verbosity::Verbosity,
};

/// The options that need a new process. A reload changes all others.
const NEED_A_RESTART: &[&str] = &[
    "access-log",
    "access-log-format",
    "admin",
    "admin-host",
    "cpus",
    "driver",
    "listen",
    "no-affinity",
    "no-status",
    "pid-file",
    "takeover",
    "tls",
    "unix-mode",
    "workers",
];

/// The files of `--reload-certs`, and how often to look at them.
pub(crate) struct Watch(Option<(WatchedFiles, Duration)>);

impl Watch {
    /// Call it before the files are loaded: changes after this call are noticed.
    pub(crate) fn new(args: &Args) -> Self {
        let interval = args.certificates.reload_interval();
        let files = args
            .certificates
            .files()
            .chain(args.client_certificates.files())
            .chain(args.tickets.file());
        Self(interval.map(|interval| (WatchedFiles::new(files), interval)))
    }
}

/// What a reload changes.
pub(crate) struct Reloading {
    /// The options of the start.
    pub(crate) args: &'static Args,
    pub(crate) values: Values,
    pub(crate) verbosity: Verbosity,
    pub(crate) expiry: Expiry,
    pub(crate) table: CurrentTable,
    pub(crate) reloader: Reloader,
    pub(crate) timing: Timing,
}

impl Reloading {
    pub(crate) fn with(self, watch: Watch) -> Reload {
        let reload = Reload::new(move || self.reload());
        match watch.0 {
            Some((files, interval)) => reload.watch(files, interval),
            None => reload,
        }
    }

    /// Reads everything before it changes anything.
    fn reload(&self) -> Result<Reloaded, Box<dyn StdError + Send + Sync>> {
        let arguments = env::args_os().collect();
        let (args, values) = match configuration::read(arguments, &|name| env::var_os(name)) {
            Ok(Invocation::Serve(args, values)) => (args, values),
            Ok(_) => return Err("the command line starts no server".into()),
            Err(stop) => return Err(stop.to_string().into()),
        };
        let args = Args {
            tls: self.args.tls.clone(),
            ..*args
        };
        if args.config.is_none() && !reads_files(&args) {
            // SIGHUP also reopens the access log: it may have been meant for that.
            if args.tls.as_deref() != Some("none") {
                tracing::warn!("SIGHUP: no certificate to reload, as none was read from a file");
            }
            return Ok(Reloaded::default());
        }
        let left: Vec<_> = left(&self.values, &values).collect();
        let watch = Watch::new(&args);
        let configured = configure(&args).and_then(|configured| {
            self.reloader.reconfigure(configured.builder)?;
            self.table.replace(configured.routes);
            Ok((configured.tls, configured.loaded))
        });
        // An option that is left may be the reason.
        let (tls, loaded) = configured.map_err(|error| {
            let message = args
                .sources
                .locate(&limits::name_flag(Chain(&error).to_string()));
            [&[message], &left[..]].concat().join("; ")
        })?;
        self.verbosity.set(args.verbose);
        let (timing, restart) = (&self.timing, &args.restart);
        timing.set_upgrade_timeout(restart.upgrade_timeout());
        timing.set_shutdown_delay(restart.shutdown_delay());
        timing.set_shutdown_deadline(args.limits.shutdown_deadline());
        self.expiry.set(&args, &loaded);
        tracing::info!(tls = tls.text, "configuration and certificates reloaded");
        let reloaded = Reloaded::default().watch(watch.0);
        Ok(left.into_iter().fold(reloaded, Reloaded::left))
    }
}

fn reads_files(args: &Args) -> bool {
    args.certificates.are_files()
        || args.tickets.are_given()
        || args.client_certificates.are_given()
}

/// The changed options that need a restart.
fn left<'a>(started: &'a Values, now: &'a Values) -> impl Iterator<Item = String> {
    let changed = started.changed(now);
    changed
        .filter(|key| NEED_A_RESTART.contains(key))
        .map(|key| format!("--{key} needs a restart or `corelane upgrade`"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Beside these, all limits: they are under their own heading.
    const RELOADED: &[&str] = &[
        "alpn-missing",
        "cache-control",
        "cert",
        "ciphers",
        "client-auth",
        "client-ca",
        "client-crl",
        "client-crl-expired",
        "connect-timeout",
        "demo",
        "groups",
        "http1",
        "http2-engine",
        "hidden-files",
        "key",
        "key-log",
        "min-tls",
        "ocsp",
        "proxy-protocol",
        "reload-certs",
        "rewrite-host",
        "root",
        "route",
        "spa",
        "ticket-keys",
        "ticket-lifetime",
        "trusted-proxy",
        "unknown-name",
        "upstream",
        "upstream-timeout",
        "verbose",
        "write-cert",
    ];

    #[test]
    fn every_option_is_reloaded_or_needs_a_restart() {
        let command = Args::command();
        for arg in command.get_arguments() {
            let key = arg.get_long().unwrap_or_default();
            // A reload reads the same file.
            if matches!(key, "config" | "help" | "version") {
                continue;
            }
            let reloaded = RELOADED.contains(&key) || arg.get_help_heading() == Some("Limits");
            let needs_a_restart = NEED_A_RESTART.contains(&key);
            assert!(
                reloaded != needs_a_restart,
                "--{key}: add it to RELOADED or to NEED_A_RESTART"
            );
        }
    }
}
