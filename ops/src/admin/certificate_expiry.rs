//! When the certificates that are served end.

use std::{
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use corelane::tls::Identity;
use metrics::{Label, Unit, describe_gauge, gauge};

use crate::args::Args;

/// Set whenever certificates are loaded, read by whoever asks for metrics.
pub(crate) static EXPIRY: Expiry = Expiry(Mutex::new(Vec::new()));

/// Each certificate's file and its last second, Unix time.
pub(crate) struct Expiry(Mutex<Vec<(String, f64)>>);

impl Expiry {
    pub(crate) fn set(&self, args: &Args, identities: &[Identity]) {
        let ends = identities.iter().enumerate().filter_map(|(at, identity)| {
            let file = args.certificates.file(at)?.display().to_string();
            // Whoever has read the certificate has said that it has no end that can be told.
            let end = identity.not_after().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some((file, end.as_secs_f64()))
        });
        let ends = ends.collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    pub(super) fn record(&self) {
        const NAME: &str = "corelane_certificate_not_after_seconds";
        describe_gauge!(
            NAME,
            Unit::Seconds,
            "The last second in which the certificate of a file is valid, Unix time."
        );
        for (file, end) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            gauge!(NAME, vec![Label::new("file", file.clone())]).set(*end);
        }
    }
}
