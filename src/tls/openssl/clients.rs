//! Configures OpenSSL to verify client certificates.

use openssl_ticket_keys::{
    VerifyError, add_crl,
    openssl::{
        error::ErrorStack,
        sha::{Sha256, sha256},
        ssl::{SslContextBuilder, SslVerifyMode},
        x509::{
            X509, X509Crl, X509PurposeId, X509StoreContextRef, X509VerifyResult,
            store::X509StoreBuilder, verify::X509VerifyFlags,
        },
    },
};

use crate::{
    error::Error,
    tls::{ClientAuth, certificate::is_delta_list},
};

/// A digest of the configuration of client certificates. Resuming a session skips the check of
/// certificates, so a session must not resume under another policy.
#[derive(Clone)]
pub(super) struct ClientPolicy([u8; 32]);

impl ClientPolicy {
    pub(super) fn new(auth: Option<&ClientAuth>) -> Self {
        let description = auth.map(ClientAuth::describe).unwrap_or_default();
        Self(sha256(&description))
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        self.0
    }

    /// Sessions resume under the same policy and for the same server name only (RFC 6066 section 3).
    pub(super) fn session_id_context(&self, server_name: Option<&str>) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(&self.0);
        if let Some(name) = server_name {
            digest.update(b"N");
            digest.update(name.to_ascii_lowercase().as_bytes());
        }
        digest.finish()
    }
}

pub(super) fn verify(context: &mut SslContextBuilder, auth: &ClientAuth) -> Result<(), Error> {
    let unusable = |error: ErrorStack| {
        Error::config("openssl cannot use this CA bundle for client certificates").with(error)
    };
    let mut store = X509StoreBuilder::new().map_err(unusable)?;
    for (authority, number) in auth.authorities.iter().zip(1..) {
        let unusable = |error: ErrorStack| {
            let message = format!(
                "{}, certificate {number}: it cannot be used to verify clients",
                auth.authorities_name
            );
            Error::config(message).with(error)
        };
        let authority = X509::from_der(authority).map_err(unusable)?;
        // So that the client can choose its certificate (RFC 8446 section 4.2.4).
        context.add_client_ca(&authority).map_err(unusable)?;
        store.add_cert(authority).map_err(unusable)?;
    }
    // Every certificate of the bundle is trusted, also one that another authority has issued.
    let mut flags = X509VerifyFlags::PARTIAL_CHAIN;
    if !auth.revocation_lists.is_empty() {
        flags |= X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL;
    }
    for (list, name) in auth.revocation_lists.iter().zip(&auth.list_names) {
        let unusable = |error: ErrorStack| {
            Error::config(format!("{name}: it cannot be used to verify clients")).with(error)
        };
        // OpenSSL would take it for a complete one.
        if is_delta_list(list) {
            return Err(Error::config(format!(
                "{name}: it cannot be used to verify clients: it is a delta list: give the complete list"
            )));
        }
        let list = X509Crl::from_der(list).map_err(unusable)?;
        add_crl(&mut store, &list).map_err(unusable)?;
    }
    store.set_flags(flags).map_err(unusable)?;
    store
        .set_purpose(X509PurposeId::SSL_CLIENT)
        .map_err(unusable)?;
    context
        .set_verify_cert_store(store.build())
        .map_err(unusable)?;
    let mut mode = SslVerifyMode::PEER;
    if auth.required {
        mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    }
    let allow_expired_crls = auth.allow_expired_crls;
    context.set_verify_callback(mode, move |valid, chain| {
        judge(valid, chain, allow_expired_crls)
    });
    Ok(())
}

/// Judges each certificate of a chain after OpenSSL. It changes the reason of some refusals, because
/// OpenSSL derives the alert from it, and accepts a trusted authority without a list of its issuer.
fn judge(valid: bool, chain: &mut X509StoreContextRef, allow_expired_crls: bool) -> bool {
    if valid {
        return true;
    }
    let is_anchor = |chain: &X509StoreContextRef| {
        let length = chain.chain().map_or(0, |it| it.len());
        chain.error_depth() as usize + 1 == length
    };
    match VerifyError::of(chain.error()) {
        Some(VerifyError::NoCrl | VerifyError::CrlExpired) if is_anchor(chain) => {
            chain.set_error(X509VerifyResult::OK);
            return true;
        }
        // As on rustls, which does not read `thisUpdate`: RFC 5280 section 6.3.3 does not ask for it.
        Some(VerifyError::CrlNotYetValid) => {
            chain.set_error(X509VerifyResult::OK);
            return true;
        }
        Some(VerifyError::CrlExpired) if allow_expired_crls => {
            chain.set_error(X509VerifyResult::OK);
            return true;
        }
        // certificate_expired (45), which is also for one that is not valid yet (RFC 8446 section 6.2).
        Some(VerifyError::NotYetValid) => chain.set_error(VerifyError::Expired.result()),
        // unknown_ca (48): whether the certificate is valid is not known.
        Some(VerifyError::CrlExpired) => chain.set_error(VerifyError::NoCrl.result()),
        _ => {}
    }
    false
}
