//! Keying material that is exported from sessions.

use std::sync::Arc;

use crate::error::Error;

/// Keying material to export from each session after its handshake (RFC 5705, RFC 8446 section 7.5):
/// [`TlsConfig::exporters`](super::TlsConfig::exporters). Both ends of the session get the same bytes.
///
/// A session of TLS 1.2 without the extended master secret has none: two sessions could share them (RFC
/// 7627 section 5.4, RFC 9266 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exporter {
    /// The label. Those in the IANA registry begin with `EXPORTER`, your own ones may begin with
    /// `EXPERIMENTAL` (RFC 5705 section 4). 1 to 249 bytes of ASCII.
    pub label: Arc<str>,
    /// The context, at most 512 bytes: give the hash of a longer one. Default `None`. Under TLS 1.2,
    /// none differs from an empty one.
    pub context: Option<Vec<u8>>,
    /// The length of the keying material, 1 to 8160 bytes.
    pub length: usize,
}

/// HkdfLabel has room for `tls13 ` and this many bytes (RFC 8446 section 7.1).
const MAX_LABEL: usize = 249;

/// Under TLS 1.2 OpenSSL takes 1024 bytes of label, context and the two randoms of 32 bytes.
const MAX_CONTEXT: usize = 512;

/// What HKDF can expand with SHA-256 (RFC 5869 section 2.3).
const MAX_LENGTH: usize = 255 * 32;

/// The labels that TLS 1.2 itself uses (RFC 5705 section 4, RFC 7627 section 4).
const TAKEN: [&str; 5] = [
    "client finished",
    "server finished",
    "master secret",
    "extended master secret",
    "key expansion",
];

impl Exporter {
    /// An exporter without a context.
    pub fn new(label: impl Into<Arc<str>>, length: usize) -> Self {
        Self {
            label: label.into(),
            context: None,
            length,
        }
    }

    /// The channel binding `tls-exporter` (RFC 9266): the label `EXPORTER-Channel-Binding`, an empty
    /// context, 32 bytes.
    pub fn channel_binding() -> Self {
        Self::new("EXPORTER-Channel-Binding", 32).context([])
    }

    /// Sets [`context`](Self#structfield.context).
    #[must_use]
    pub fn context(mut self, context: impl Into<Vec<u8>>) -> Self {
        self.context = Some(context.into());
        self
    }

    fn check(&self) -> Result<(), Error> {
        let Self {
            label,
            context,
            length,
        } = self;
        let fault = if label.is_empty() || label.len() > MAX_LABEL || !label.is_ascii() {
            format!("use 1 to {MAX_LABEL} bytes of ASCII")
        } else if TAKEN.contains(&&**label) {
            "TLS itself uses this label: begin it with EXPORTER or EXPERIMENTAL".into()
        } else if context.as_ref().is_some_and(|it| it.len() > MAX_CONTEXT) {
            format!("its context is longer than {MAX_CONTEXT} bytes: give its hash")
        } else if !(1..=MAX_LENGTH).contains(length) {
            format!("its length is {length}: use 1 to {MAX_LENGTH} bytes")
        } else {
            return Ok(());
        };
        Err(Error::config(format!("the exporter {label:?}: {fault}")))
    }
}

/// Checks what the libraries would refuse in each session, or would not refuse.
pub(super) fn checked(exporters: &[Exporter]) -> Result<Arc<[Exporter]>, Error> {
    for (at, exporter) in exporters.iter().enumerate() {
        exporter.check()?;
        let label = &exporter.label;
        if exporters[..at].iter().any(|other| other.label == *label) {
            return Err(Error::config(format!(
                "two exporters have the label {label:?}: handlers find them by it"
            )));
        }
    }
    Ok(exporters.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_exporters_are_errors() {
        let long = "x".repeat(MAX_LABEL);
        let usable = Exporter::new(&*long, MAX_LENGTH).context(vec![0; MAX_CONTEXT]);
        let good = [usable, Exporter::channel_binding()];
        assert_eq!(checked(&good).expect("usable").len(), 2);
        for (exporter, why) in [
            (Exporter::new("", 32), "1 to 249 bytes"),
            (Exporter::new("é", 32), "ASCII"),
            (Exporter::new(format!("{long}x"), 32), "1 to 249 bytes"),
            (Exporter::new("key expansion", 32), "TLS itself"),
            (Exporter::new("a", 0), "length is 0"),
            (Exporter::new("a", MAX_LENGTH + 1), "length is 8161"),
            (
                Exporter::new("a", 1).context(vec![0; MAX_CONTEXT + 1]),
                "context is longer",
            ),
        ] {
            let error = checked(&[exporter]).expect_err(why);
            assert!(error.is_config());
            assert!(error.to_string().contains(why), "{error}");
        }
        let twice = [Exporter::new("a", 1), Exporter::new("a", 2)];
        let error = checked(&twice).expect_err("one label");
        assert!(error.to_string().contains("two exporters"), "{error}");
    }
}
