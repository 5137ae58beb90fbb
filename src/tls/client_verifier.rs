//! Configures rustls to verify client certificates.

use std::{io::ErrorKind, sync::Arc};

use ::rustls::{
    CertRevocationListError as Fault, Error as RustlsError, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{client_auth::ClientAuth, rustls_identity::in_words};
use crate::error::Error;

/// The verifier of client certificates, and a description of its policy.
pub(super) struct ClientPolicy {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Part of the key of every ticket: equal for equal policies only. Resuming a session skips the
    /// check of certificates, so a session must not resume under another policy.
    pub(super) tickets: Vec<u8>,
}

impl ClientPolicy {
    pub(super) fn new(
        auth: Option<&ClientAuth>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let Some(auth) = auth else {
            return Ok(Self {
                verifier: WebPkiClientVerifier::no_client_auth(),
                tickets: Vec::new(),
            });
        };
        auth.check_lists()?;
        let authorities = auth.authorities.iter().cloned();
        let authorities: Vec<_> = authorities.map(CertificateDer::from).collect();
        let lists = auth.revocation_lists.iter().cloned();
        let lists: Vec<_> = lists.map(CertificateRevocationListDer::from).collect();
        let tickets = auth.describe();
        let mut roots = RootCertStore::empty();
        for (authority, number) in authorities.into_iter().zip(1..) {
            roots.add(authority).map_err(|error| {
                let why = match error {
                    RustlsError::InvalidCertificate(fault) => in_words(&fault),
                    other => other.to_string(),
                };
                Error::config(format!(
                    "{}, certificate {number}: it cannot be used to verify clients: {why}",
                    auth.authorities_name
                ))
            })?;
        }
        let roots = Arc::new(roots);
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
                .with_crls(lists.clone());
        if !auth.allow_expired_crls {
            builder = builder.enforce_revocation_expiration();
        }
        if !auth.required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| match error {
            VerifierBuilderError::InvalidCrl(_) => refused_list(auth, &lists, &roots, provider),
            other => Error::config("rustls cannot use this CA bundle for client certificates")
                .with_source(other),
        })?;
        Ok(Self { verifier, tickets })
    }
}

/// The kind of a session's error. A server checks no certificates but those of clients.
pub(super) fn error_kind(error: &::rustls::Error) -> ErrorKind {
    match error {
        ::rustls::Error::NoCertificatesPresented
        | ::rustls::Error::InvalidCertificate(_)
        | ::rustls::Error::InvalidCertRevocationList(_) => ErrorKind::PermissionDenied,
        _ => ErrorKind::InvalidData,
    }
}

/// The error about the first list that rustls refuses; it does not tell which.
fn refused_list(
    auth: &ClientAuth,
    lists: &[CertificateRevocationListDer<'static>],
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Error {
    let fault = |list: &CertificateRevocationListDer<'static>| {
        let (roots, provider) = (Arc::clone(roots), Arc::clone(provider));
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        match builder.with_crls([list.clone()]).build() {
            Err(VerifierBuilderError::InvalidCrl(fault)) => Some(list_in_words(&fault)),
            _ => None,
        }
    };
    let mut refused = lists.iter().zip(&auth.list_names);
    let refused = refused.find_map(|(list, name)| {
        let why = fault(list)?;
        Some(format!(
            "{name}: it cannot be used to verify clients: {why}"
        ))
    });
    Error::config(
        refused.unwrap_or_else(|| "rustls cannot use the revocation lists together".into()),
    )
}

/// Faults beside those of [`ClientAuth::check_lists`].
fn list_in_words(fault: &Fault) -> &'static str {
    match fault {
        Fault::ParseError => "its content is not a list in DER",
        Fault::UnsupportedRevocationReason => {
            "a revoked certificate has a reason that RFC 5280 section 5.3.1 does not have"
        }
        Fault::InvalidCrlNumber => "its CRL number is longer than 20 bytes",
        Fault::InvalidRevokedCertSerialNumber => {
            "the serial number of a revoked certificate is invalid"
        }
        _ => "rustls cannot read it",
    }
}
