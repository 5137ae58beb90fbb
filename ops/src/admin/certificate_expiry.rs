//! A metric: when the served certificates expire.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::UNIX_EPOCH,
};

use corelane::tls::Identity;
use metrics::{Label, Unit, describe_gauge, gauge};

/// When the served certificates expire, as the metric `corelane_certificate_not_after_seconds`.
///
/// Clones share the values: one is set at each reload, another is recorded by the admin port.
///
/// ```
/// use corelane_ops::{Admin, CertificateExpiry};
///
/// let expiry = CertificateExpiry::default();
/// let recorded = expiry.clone();
/// let admin = Admin::new(([127, 0, 0, 1], 9090).into()).record(move || recorded.record());
/// # let _ = admin;
/// ```
#[derive(Clone, Debug, Default)]
pub struct CertificateExpiry(Arc<Mutex<Vec<Expiry>>>);

#[derive(Debug)]
struct Expiry {
    file: String,
    /// Seconds of Unix time.
    not_after: f64,
}

impl CertificateExpiry {
    /// Replaces the values by those of these certificates, each with the file that it was read from.
    pub fn set<'a>(&self, certificates: impl IntoIterator<Item = (&'a Path, &'a Identity)>) {
        let expiries = certificates.into_iter().filter_map(|(file, identity)| {
            // Without a readable end there is no value.
            let not_after = identity.not_after().ok()?;
            Some(Expiry {
                file: file.display().to_string(),
                not_after: not_after.duration_since(UNIX_EPOCH).ok()?.as_secs_f64(),
            })
        });
        let expiries = expiries.collect();
        *self.lock() = expiries;
    }

    /// Records the metric: for [`Admin::record`](crate::Admin::record).
    pub fn record(&self) {
        const NAME: &str = "corelane_certificate_not_after_seconds";
        describe_gauge!(
            NAME,
            Unit::Seconds,
            "The last second in which the certificate of a file is valid, Unix time."
        );
        for expiry in &*self.lock() {
            let label = Label::new("file", expiry.file.clone());
            gauge!(NAME, vec![label]).set(expiry.not_after);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Expiry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
