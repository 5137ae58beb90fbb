//! Configures BoringSSL to verify client certificates.

use boring::{
    error::ErrorStack,
    ssl::{SslContextBuilder, SslOptions, SslVerifyMode},
    x509::{
        X509, X509StoreContext, X509StoreContextRef, store::X509StoreBuilder,
        verify::X509VerifyFlags,
    },
};
use corelane::{Error, tls::ClientAuth};

/// The largest chain of a client whose session gets a ticket, bytes: the ticket contains it, and would
/// make the client's next ClientHello larger than the server reads.
const MAX_CHAIN: usize = 8 * 1024;

pub(crate) fn verify(context: &mut SslContextBuilder, auth: &ClientAuth) -> Result<(), Error> {
    let unusable = |error: ErrorStack| {
        Error::config("BoringSSL cannot use this CA bundle for client certificates")
            .with_source(error)
    };
    let mut store = X509StoreBuilder::new().map_err(unusable)?;
    for (authority, number) in auth.authorities().iter().zip(1..) {
        let unusable = |error: ErrorStack| {
            let message =
                format!("the CA bundle, certificate {number}: it cannot be used to verify clients");
            Error::config(message).with_source(error)
        };
        let authority = X509::from_der(authority).map_err(unusable)?;
        // So that the client can choose its certificate (RFC 8446 section 4.2.4).
        context.add_client_ca(&authority).map_err(unusable)?;
        store.add_cert(&authority).map_err(unusable)?;
    }
    // Every certificate of the bundle is trusted, also one that another authority has issued.
    store
        .try_set_flags(X509VerifyFlags::PARTIAL_CHAIN)
        .map_err(unusable)?;
    context
        .set_verify_cert_store(store.build())
        .map_err(unusable)?;
    let mut mode = SslVerifyMode::PEER;
    if auth.is_required() {
        mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    }
    context.set_verify(mode);
    context.set_cert_verify_callback(judge);
    // BoringSSL resumes no session with a client certificate without one. The keys of tickets differ for
    // each context, so that no session resumes under another policy.
    context
        .set_session_id_context(b"corelane")
        .map_err(unusable)
}

/// Has BoringSSL verify a chain, and turns tickets off if it is large.
fn judge(chain: &mut X509StoreContextRef) -> bool {
    if !chain.verify_cert().unwrap_or(false) {
        return false;
    }
    let certificates = chain.untrusted().into_iter().flatten();
    let size = certificates.filter_map(|it| it.to_der().ok());
    if size.map(|der| der.len()).sum::<usize>() > MAX_CHAIN {
        let ssl = X509StoreContext::ssl_idx().ok();
        if let Some(ssl) = ssl.and_then(|index| chain.ex_data_mut(index)) {
            ssl.set_options(SslOptions::NO_TICKET);
        }
    }
    true
}
