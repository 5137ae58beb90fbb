//! Configures OpenSSL to verify client certificates.

use std::sync::OnceLock;

use openssl_ticket_keys::{
    VerifyError, add_crl,
    openssl::{
        error::ErrorStack,
        ex_data::Index,
        sha::{Sha256, sha256},
        ssl::{Ssl, SslContextBuilder, SslRef, SslVerifyMode},
        x509::{
            X509, X509Crl, X509PurposeId, X509StoreContext, X509StoreContextRef, X509VerifyResult,
            store::X509StoreBuilder, verify::X509VerifyFlags,
        },
    },
    set_session_id_context,
};

use crate::{
    error::Error,
    tls::{ClientAuth, certificate::is_authority},
};

/// The most authorities between a client's certificate and a trusted one, as on rustls: each one costs
/// the server the check of a signature, and public authorities have one or two.
const MAX_BETWEEN: u32 = 6;

/// A digest of the configuration of client certificates. Resuming a session skips the check of
/// certificates, so a session must not resume under another policy.
#[derive(Clone)]
pub(super) struct ClientPolicy {
    digest: [u8; 32],
    /// Whether clients are asked for a certificate.
    asks: bool,
}

impl ClientPolicy {
    pub(super) fn new(auth: Option<&ClientAuth>) -> Self {
        let description = auth.map(ClientAuth::describe).unwrap_or_default();
        Self {
            digest: sha256(&description),
            asks: auth.is_some(),
        }
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Prepares a connection.
    pub(super) fn apply(
        &self,
        ssl: &mut SslRef,
        server_name: Option<&str>,
    ) -> Result<(), ErrorStack> {
        set_session_id_context(ssl, &self.session_id_context(server_name))?;
        if self.asks {
            ssl.set_ex_data(kept()?, Kept::new());
        }
        Ok(())
    }

    /// Sessions resume under the same policy and for the same server name only (RFC 6066 section 3).
    fn session_id_context(&self, server_name: Option<&str>) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(&self.digest);
        if let Some(name) = server_name {
            digest.update(b"N");
            digest.update(name.to_ascii_lowercase().as_bytes());
        }
        digest.finish()
    }
}

pub(super) fn verify(context: &mut SslContextBuilder, auth: &ClientAuth) -> Result<(), Error> {
    let unusable = |error: ErrorStack| {
        Error::config("openssl cannot use this CA bundle for client certificates")
            .with_source(error)
    };
    auth.check_lists()?;
    let mut store = X509StoreBuilder::new().map_err(unusable)?;
    for (authority, number) in auth.authorities.iter().zip(1..) {
        let unusable = |error: ErrorStack| {
            let message = format!(
                "{}, certificate {number}: it cannot be used to verify clients",
                auth.authorities_name
            );
            Error::config(message).with_source(error)
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
            Error::config(format!("{name}: it cannot be used to verify clients")).with_source(error)
        };
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
    context.set_verify_depth(MAX_BETWEEN);
    let mut mode = SslVerifyMode::PEER;
    if auth.required {
        mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    }
    let allow_expired_crls = auth.allow_expired_crls;
    context.set_verify_callback(mode, move |valid, chain| {
        answer(valid, chain, allow_expired_crls)
    });
    Ok(())
}

/// Why a client's certificate is refused.
#[derive(Clone, Copy)]
struct Refusal {
    /// OpenSSL derives the alert from it.
    result: X509VerifyResult,
    why: &'static str,
}

/// What a connection keeps of the first refusal, for the log: OpenSSL keeps `result` only.
type Kept = OnceLock<&'static str>;

fn kept() -> Result<Index<Ssl, Kept>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, Kept>> = OnceLock::new();
    if let Some(index) = INDEX.get() {
        return Ok(*index);
    }
    // If two threads come here, one index stays unused.
    let new = Ssl::new_ex_index()?;
    Ok(*INDEX.get_or_init(|| new))
}

/// Whether [`ClientPolicy::apply`] prepared the connection, and its client is asked for a certificate.
pub(super) fn is_asked(ssl: &SslRef) -> bool {
    kept().is_ok_and(|index| ssl.ex_data(index).is_some())
}

/// Why the client's certificate was refused.
pub(super) fn refusal(ssl: &SslRef) -> Option<&'static str> {
    ssl.ex_data(kept().ok()?)?.get().copied()
}

/// Answers OpenSSL's question about a certificate of the chain: its own judgement is `valid`.
fn answer(valid: bool, chain: &mut X509StoreContextRef, allow_expired_crls: bool) -> bool {
    let judgement = match valid {
        true => judge_own(chain),
        false => judge_fault(chain, allow_expired_crls),
    };
    let Err(Refusal { result, why }) = judgement else {
        chain.set_error(X509VerifyResult::OK);
        return true;
    };
    chain.set_error(result);
    let ssl = X509StoreContext::ssl_idx().ok();
    let ssl = ssl.and_then(|index| chain.ex_data(index));
    if let Some(kept) = ssl.and_then(|ssl| ssl.ex_data(kept().ok()?)) {
        let _ = kept.set(why);
    }
    false
}

/// Refuses the certificates of clients that rustls refuses and OpenSSL does not.
fn judge_own(chain: &X509StoreContextRef) -> Result<(), Refusal> {
    let Some(own) = chain.current_cert().filter(|_| chain.error_depth() == 0) else {
        return Ok(());
    };
    // certificate_unknown (46).
    let refused = |why| {
        Err(Refusal {
            result: VerifyError::InvalidExtension.result(),
            why,
        })
    };
    const VERSION_3: i32 = 2;
    if own.version() != VERSION_3 {
        return refused("it is not X.509 version 3");
    }
    if own.to_der().is_ok_and(|der| is_authority(&der)) {
        return refused("it is the certificate of an authority");
    }
    Ok(())
}

/// Changes the reason of some refusals, because OpenSSL derives the alert from it, and accepts a trusted
/// authority without a list of its issuer.
fn judge_fault(chain: &X509StoreContextRef, allow_expired_crls: bool) -> Result<(), Refusal> {
    let is_anchor = || {
        let length = chain.chain().map_or(0, |it| it.len());
        chain.error_depth() as usize + 1 == length
    };
    let error = chain.error();
    let result = match VerifyError::of(error) {
        Some(VerifyError::NoCrl | VerifyError::CrlExpired | VerifyError::CrlScope)
            if is_anchor() =>
        {
            return Ok(());
        }
        // As on rustls, which does not read `thisUpdate`: RFC 5280 section 6.3.3 does not ask for it.
        Some(VerifyError::CrlNotYetValid) => return Ok(()),
        Some(VerifyError::CrlExpired) if allow_expired_crls => return Ok(()),
        // certificate_expired (45), which is also for one that is not valid yet (RFC 8446 section 6.2).
        Some(VerifyError::NotYetValid) => VerifyError::Expired.result(),
        // unknown_ca (48): whether the certificate was revoked is not known.
        Some(
            VerifyError::CrlExpired
            | VerifyError::CrlScope
            | VerifyError::CrlSignature
            | VerifyError::CrlIssuer,
        ) => VerifyError::NoCrl.result(),
        // certificate_unknown (46): the authority is known.
        Some(VerifyError::InvalidCa | VerifyError::PathTooLong | VerifyError::ChainTooLong) => {
            VerifyError::InvalidExtension.result()
        }
        _ => error,
    };
    Err(Refusal {
        result,
        why: error.error_string(),
    })
}
