//! Tells when certificates, OCSP responses and revocation lists expire: in the log at each load and while the server
//! runs, and as metrics.
#![cfg_attr(
    not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
    expect(dead_code, reason = "nothing expires without TLS")
)]

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime},
};

use corelane::tls::{ClientAuth, Identity, OcspResponse, RevocationList};
use corelane_ops::CertificateExpiry;
use httpdate::HttpDate;

use crate::args::Args;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificates, with their OCSP responses, and revocation lists that the server uses.
#[derive(Default)]
pub(crate) struct Loaded {
    /// The certificates from files, in the order of --cert.
    pub(crate) identities: Vec<Identity>,
    pub(crate) client_auth: Option<ClientAuth>,
}

/// Follows the loads of a running server.
#[derive(Clone)]
pub(crate) struct Expiry {
    metrics: CertificateExpiry,
    loads: Sender<Vec<Expiring>>,
}

impl Expiry {
    /// Starts the thread that warns. It runs for as long as the process lives.
    pub(crate) fn start() -> io::Result<Self> {
        let (loads, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("corelane-expiry".into())
            .spawn(move || warn_in_time(&receiver))?;
        Ok(Self {
            metrics: CertificateExpiry::default(),
            loads,
        })
    }

    pub(crate) fn record(&self) {
        self.metrics.record();
    }

    /// Replaces what was loaded before. [`log`] has logged it.
    pub(crate) fn set(&self, args: &Args, loaded: &Loaded) {
        let files = args.certificates.cert_files();
        self.metrics.set(files.zip(&loaded.identities));
        let responses = responses(args, loaded).map(|(file, _, response)| (file, response));
        self.metrics.set_ocsp_responses(responses);
        self.metrics.set_revocation_lists(lists(args, loaded));
        // The thread ends only by a panic.
        let _ = self.loads.send(expiring(args, loaded));
    }
}

/// Logs when the certificates, OCSP responses and revocation lists expire. What has expired and is among
/// [`Identity::warnings`] is left to them.
pub(crate) fn log(args: &Args, loaded: &Loaded) {
    let now = SystemTime::now();
    for one in expiring(args, loaded) {
        if !matches!(one.kind, Kind::Response { .. }) || one.end >= now {
            one.log(now);
        }
    }
}

fn expiring(args: &Args, loaded: &Loaded) -> Vec<Expiring> {
    let logged = SystemTime::now();
    let certificates = args.certificates.cert_files().zip(&loaded.identities);
    let certificates = certificates.filter_map(|(file, identity)| {
        // An unreadable one has ended the load.
        let names = identity.names().ok()?.join(", ");
        Some(Expiring {
            kind: Kind::Certificate { names },
            file: file.to_owned(),
            end: identity.not_after().ok()?,
            logged,
        })
    });
    let responses = responses(args, loaded).filter_map(|(file, identity, response)| {
        let end = response.next_update?;
        let validity = end.duration_since(response.this_update).unwrap_or_default();
        let kind = Kind::Response {
            names: identity.names().ok()?.join(", "),
            lead: validity / 4,
        };
        Some(Expiring {
            kind,
            file: file.to_owned(),
            end,
            logged,
        })
    });
    let lists = lists(args, loaded).filter_map(|(file, list)| {
        let kind = Kind::List {
            issuer: list.issuer.clone(),
            allowed: args.client_certificates.allow_expired(),
        };
        Some(Expiring {
            kind,
            file: file.to_owned(),
            end: list.next_update?,
            logged,
        })
    });
    certificates.chain(responses).chain(lists).collect()
}

/// The OCSP responses, with their files and certificates.
fn responses<'a>(
    args: &'a Args,
    loaded: &'a Loaded,
) -> impl Iterator<Item = (&'a Path, &'a Identity, &'a OcspResponse)> {
    args.certificates.ocsp_files().filter_map(|(at, file)| {
        let identity = loaded.identities.get(at)?;
        Some((file, identity, identity.ocsp_response()?))
    })
}

/// The revocation lists and their file.
fn lists<'a>(
    args: &'a Args,
    loaded: &'a Loaded,
) -> impl Iterator<Item = (&'a Path, &'a RevocationList)> {
    let auth = args
        .client_certificates
        .list_file()
        .zip(loaded.client_auth.as_ref());
    auth.into_iter()
        .flat_map(|(file, auth)| auth.revocation_lists().iter().map(move |list| (file, list)))
}

/// Warns while nothing is loaded.
fn warn_in_time(loads: &Receiver<Vec<Expiring>>) {
    let mut all: Vec<Expiring> = Vec::new();
    loop {
        let next = all.iter().map(Expiring::next).min();
        let wait = next.map(|next| next.duration_since(SystemTime::now()).unwrap_or_default());
        // The clock can be set in the meantime.
        match loads.recv_timeout(wait.unwrap_or(HOUR).min(HOUR)) {
            Ok(loaded) => all = loaded,
            Err(RecvTimeoutError::Timeout) => {
                let now = SystemTime::now();
                for one in all.iter_mut().filter(|one| one.next() <= now) {
                    one.log(now);
                    one.logged = now;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Expiring {
    kind: Kind,
    file: PathBuf,
    /// The last second of its validity.
    end: SystemTime,
    /// When it was logged last.
    logged: SystemTime,
}

enum Kind {
    Certificate { names: String },
    Response { names: String, lead: Duration },
    List { issuer: String, allowed: bool },
}

impl Expiring {
    /// How long before its end it expires soon.
    fn lead(&self) -> Duration {
        match self.kind {
            // Automatic renewal happens earlier.
            Kind::Certificate { .. } => 30 * DAY,
            // They are valid for hours or for days.
            Kind::Response { lead, .. } => lead,
            Kind::List { .. } => 7 * DAY,
        }
    }

    /// When to log it again: when it begins to expire soon, when it has expired, and every day.
    fn next(&self) -> SystemTime {
        let soon = self
            .end
            .checked_sub(self.lead())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let expired = self.end + SECOND;
        let tomorrow = self.logged + DAY;
        if self.logged < soon {
            soon
        } else if self.logged < expired {
            tomorrow.min(expired)
        } else {
            tomorrow
        }
    }

    fn log(&self, now: SystemTime) {
        let (file, ends) = (self.file.display(), date(self.end));
        let left = self.end.duration_since(now).ok();
        let days = left.map(|left| left.as_secs() / DAY.as_secs());
        let soon = left.is_none_or(|left| left < self.lead());
        match (&self.kind, left) {
            (Kind::Certificate { names }, None) => {
                tracing::warn!(%file, names, %ends, "the certificate has expired: renew it");
            }
            (Kind::Certificate { names }, Some(_)) if soon => {
                tracing::warn!(%file, names, %ends, days, "the certificate expires soon: renew it");
            }
            (Kind::Certificate { names }, Some(_)) => {
                tracing::info!(%file, names, %ends, days, "certificate");
            }
            (Kind::Response { names, .. }, None) => tracing::warn!(
                %file, names, %ends,
                "the OCSP response has expired, so clients get none: renew it"
            ),
            (Kind::Response { names, .. }, Some(_)) if soon => {
                tracing::warn!(%file, names, %ends, days, "the OCSP response expires soon: renew it");
            }
            (Kind::Response { names, .. }, Some(_)) => {
                tracing::info!(%file, names, %ends, days, "OCSP response");
            }
            (
                Kind::List {
                    issuer,
                    allowed: false,
                },
                None,
            ) => tracing::warn!(
                %file, issuer, %ends,
                "a revocation list has expired, so clients of its authority are refused: renew it"
            ),
            (
                Kind::List {
                    issuer,
                    allowed: true,
                },
                None,
            ) => tracing::warn!(
                %file, issuer, %ends,
                "a revocation list has expired, and is used by --client-crl-expired allow: renew it"
            ),
            (Kind::List { issuer, .. }, Some(_)) if soon => {
                tracing::warn!(%file, issuer, %ends, days, "a revocation list expires soon: renew it");
            }
            (Kind::List { issuer, .. }, Some(_)) => {
                tracing::info!(%file, issuer, %ends, days, "revocation list");
            }
        }
    }
}

/// In the format of RFC 9110, which ends with the year 9999.
fn date(time: SystemTime) -> HttpDate {
    /// The end of the year 9999.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    let since_1970 = since_1970.unwrap_or_default().min(LAST);
    (SystemTime::UNIX_EPOCH + since_1970).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_begin_in_time_and_come_back_every_day() {
        let end = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let list = |logged| Expiring {
            kind: Kind::List {
                issuer: "CN=clients".into(),
                allowed: false,
            },
            file: "clients.crl".into(),
            end,
            logged,
        };
        for (logged, next) in [
            (end - 100 * DAY, end - 7 * DAY),
            (end - 7 * DAY, end - 6 * DAY),
            (end - HOUR, end + SECOND),
            (end, end + SECOND),
            (end + SECOND, end + SECOND + DAY),
            (end + 5 * DAY, end + 6 * DAY),
        ] {
            assert_eq!(list(logged).next(), next);
        }
    }
}
