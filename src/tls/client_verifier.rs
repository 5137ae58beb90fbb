//! Configures rustls to verify client certificates.

use std::{io::ErrorKind, sync::Arc};

use ::rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::client_auth::ClientAuth;
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
        let authorities = auth.authorities.iter().cloned();
        let authorities: Vec<_> = authorities.map(CertificateDer::from).collect();
        let lists = auth.revocation_lists.iter().cloned();
        let lists: Vec<_> = lists.map(CertificateRevocationListDer::from).collect();
        let tickets = describe(auth.required, &authorities, &lists);
        let mut roots = RootCertStore::empty();
        for (authority, number) in authorities.into_iter().zip(1..) {
            roots.add(authority).map_err(|error| {
                let message = format!(
                    "certificate {number} of the CA bundle for client certificates cannot be used"
                );
                Error::config(message).with(error)
            })?;
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .with_crls(lists)
                .enforce_revocation_expiration();
        if !auth.required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| {
            Error::config("rustls cannot use this CA bundle for client certificates with these revocation lists")
                .with(error)
        })?;
        Ok(Self { verifier, tickets })
    }
}

/// The kind of a session's error. A server checks no certificates but those of clients.
pub(super) fn error_kind(error: &::rustls::Error) -> ErrorKind {
    match error {
        ::rustls::Error::NoCertificatesPresented | ::rustls::Error::InvalidCertificate(_) => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::InvalidData,
    }
}

/// Each part follows its kind and length, so that different policies have different descriptions.
fn describe(
    required: bool,
    authorities: &[CertificateDer<'_>],
    lists: &[CertificateRevocationListDer<'_>],
) -> Vec<u8> {
    let mut text = vec![if required { b'R' } else { b'O' }];
    let authorities = authorities
        .iter()
        .map(|authority| (b'A', authority.as_ref()));
    let lists = lists.iter().map(|list| (b'L', list.as_ref()));
    for (kind, part) in authorities.chain(lists) {
        text.push(kind);
        text.extend((part.len() as u64).to_be_bytes());
        text.extend(part);
    }
    text
}
