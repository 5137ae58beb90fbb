//! Reloads certificates, client CAs, revocation lists and ticket keys: on SIGHUP, and by
//! `--reload-certs`.

use std::time::Duration;

use corelane::{Error, Reloader, tls::Identity};
use corelane_ops::{CertificateExpiry, Reload, WatchedFiles};

use crate::{args::Args, tls};

/// The files of `--reload-certs`, and how often to look at them.
pub(crate) struct Watch(Option<(WatchedFiles, Duration)>);

impl Watch {
    /// Call it before the files are loaded: changes after this call are noticed.
    pub(crate) fn new(args: &Args) -> Self {
        let interval = args.certificates.reload_interval();
        Self(interval.map(|interval| (WatchedFiles::new(args.certificates.files()), interval)))
    }
}

pub(crate) fn reload(
    args: &'static Args,
    watch: Watch,
    expiry: CertificateExpiry,
    reloader: Reloader,
) -> Reload {
    let reload = Reload::new(move || reload_now(args, &expiry, &reloader));
    match watch.0 {
        Some((files, interval)) => reload.watch(files, interval),
        None => reload,
    }
}

fn reload_now(args: &Args, expiry: &CertificateExpiry, reloader: &Reloader) -> Result<(), Error> {
    if args.tls.as_deref() == Some("none") {
        // SIGHUP also reopens the access log: it may have been meant for that.
        return Ok(());
    }
    let any_files = args.certificates.are_files()
        || args.tickets.are_given()
        || args.client_certificates.are_given();
    if !any_files {
        tracing::warn!("SIGHUP: no certificate to reload, as none was read from a file");
        return Ok(());
    }
    let tls = tls::choose(args)?;
    reloader.reload(tls.acceptor)?;
    set_expiry(expiry, args, &tls.identities);
    tracing::info!(tls = tls.description.text, "certificates reloaded");
    Ok(())
}

/// `identities` are those of the files, in the order of `--cert`.
pub(crate) fn set_expiry(expiry: &CertificateExpiry, args: &Args, identities: &[Identity]) {
    expiry.set(args.certificates.cert_files().zip(identities));
}
