//! Metrics: when the served certificates, their OCSP responses and the revocation lists expire.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use corelane::tls::{Identity, OcspResponse, RevocationList};
use metrics::{Label, Unit, describe_gauge, gauge};

/// When the served certificates, their OCSP responses and the revocation lists of clients expire, as the
/// metrics `corelane_certificate_not_after_seconds`, `corelane_ocsp_response_next_update_seconds` and
/// `corelane_revocation_list_next_update_seconds`.
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
pub struct CertificateExpiry(Arc<Mutex<Values>>);

#[derive(Debug, Default)]
struct Values {
    certificates: Vec<Value>,
    responses: Vec<Value>,
    lists: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    labels: Vec<Label>,
    /// Seconds of Unix time.
    end: f64,
}

impl CertificateExpiry {
    /// Replaces the values by those of these certificates, each with the file that it was read from.
    pub fn set<'a>(&self, certificates: impl IntoIterator<Item = (&'a Path, &'a Identity)>) {
        let values = certificates.into_iter().filter_map(|(file, identity)| {
            // Without a readable end there is no value.
            Value::new(vec![of(file)], identity.not_after().ok()?)
        });
        let values = values.collect();
        replace(&mut self.lock().certificates, values);
    }

    /// Replaces the values of OCSP responses by those of these, each with the file that it was read from.
    pub fn set_ocsp_responses<'a>(
        &self,
        responses: impl IntoIterator<Item = (&'a Path, &'a OcspResponse)>,
    ) {
        let values = responses
            .into_iter()
            .filter_map(|(file, response)| Value::new(vec![of(file)], response.next_update?));
        let values = values.collect();
        replace(&mut self.lock().responses, values);
    }

    /// Replaces the values of revocation lists by those of these, each with the file that it was read
    /// from.
    pub fn set_revocation_lists<'a>(
        &self,
        lists: impl IntoIterator<Item = (&'a Path, &'a RevocationList)>,
    ) {
        let values = lists.into_iter().filter_map(|(file, list)| {
            let labels = vec![of(file), Label::new("issuer", list.issuer.clone())];
            Value::new(labels, list.next_update?)
        });
        let mut values: Vec<_> = values.collect();
        // Of several lists of one issuer, the one that is recorded last counts: the first to expire.
        values.sort_by(|one, other| other.end.total_cmp(&one.end));
        replace(&mut self.lock().lists, values);
    }

    /// Records the metrics: for [`Admin::record`](crate::Admin::record).
    pub fn record(&self) {
        const CERTIFICATE: &str = "corelane_certificate_not_after_seconds";
        const RESPONSE: &str = "corelane_ocsp_response_next_update_seconds";
        const LIST: &str = "corelane_revocation_list_next_update_seconds";
        let values = self.lock();
        for (name, help, values) in [
            (
                CERTIFICATE,
                "The last second in which the certificate of a file is valid, Unix time.",
                &values.certificates,
            ),
            (
                RESPONSE,
                "The time until which the OCSP response of a file is valid, Unix time.",
                &values.responses,
            ),
            (
                LIST,
                "The time by which the next revocation list is issued, Unix time.",
                &values.lists,
            ),
        ] {
            describe_gauge!(name, Unit::Seconds, help);
            for value in values {
                gauge!(name, value.labels.clone()).set(value.end);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Value {
    fn new(labels: Vec<Label>, end: SystemTime) -> Option<Self> {
        let end = end.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some(Self { labels, end })
    }
}

/// A recorder cannot forget a gauge. One of a file that is no longer used becomes NaN, so that no alert
/// on it fires.
fn replace(values: &mut Vec<Value>, new: Vec<Value>) {
    let named: HashSet<_> = new.iter().map(|one| &one.labels).collect();
    values.retain(|old| !named.contains(&old.labels));
    values.iter_mut().for_each(|old| old.end = f64::NAN);
    values.extend(new);
}

fn of(file: &Path) -> Label {
    Label::new("file", file.display().to_string())
}
