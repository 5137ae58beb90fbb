//! Single calls that crate openssl does not wrap.

use std::{
    ffi::{c_int, c_long, c_uchar, c_uint},
    time::Duration,
};

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::{
    error::ErrorStack,
    ssl::{SslCipher, SslCipherRef, SslContextBuilder, SslRef},
    stack::{Stack, StackRef},
    x509::{X509CrlRef, X509VerifyResult, store::X509StoreBuilderRef},
};
use openssl_sys::{
    SSL, SSL_CTX, SSL_CTX_remove_session, SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown, X509_CRL,
    X509_STORE, X509_V_ERR_CERT_CHAIN_TOO_LONG, X509_V_ERR_CERT_HAS_EXPIRED,
    X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID,
    X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_DIFFERENT_CRL_SCOPE, X509_V_ERR_INVALID_CA,
    X509_V_ERR_INVALID_EXTENSION, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, X509_V_ERR_PATH_LENGTH_EXCEEDED,
    X509_V_ERR_UNABLE_TO_GET_CRL, stack_st_SSL_CIPHER,
};

unsafe extern "C" {
    fn SSL_CTX_set_timeout(context: *mut SSL_CTX, seconds: c_long) -> c_long;
    fn SSL_CTX_get_ciphers(context: *const SSL_CTX) -> *mut stack_st_SSL_CIPHER;
    fn SSL_set_session_id_context(ssl: *mut SSL, context: *const c_uchar, len: c_uint) -> c_int;
    fn SSL_set_default_read_buffer_len(ssl: *mut SSL, len: usize);
    fn SSL_has_pending(ssl: *const SSL) -> c_int;
    fn SSL_set_read_ahead(ssl: *mut SSL, yes: c_int);
    fn X509_STORE_add_crl(store: *mut X509_STORE, list: *mut X509_CRL) -> c_int;
}

/// How long sessions may be resumed, in whole seconds: SSL_CTX_set_timeout(3). Under TLS 1.3 OpenSSL
/// counts it from each ticket.
pub fn set_session_lifetime(context: &mut SslContextBuilder, lifetime: Duration) {
    let seconds = c_long::try_from(lifetime.as_secs()).unwrap_or(c_long::MAX);
    // SAFETY: the pointer is valid while the builder is borrowed, and the declaration is that of
    // openssl/ssl.h.
    unsafe { SSL_CTX_set_timeout(context.as_ptr(), seconds) };
}

/// The cipher suites that the context enables, best first: SSL_CTX_get_ciphers(3).
pub fn ciphers(context: &SslContextBuilder) -> impl Iterator<Item = &SslCipherRef> {
    // SAFETY: the pointer is valid while the builder is borrowed, and the declaration is that of
    // openssl/ssl.h.
    let ciphers = unsafe { SSL_CTX_get_ciphers(context.as_ptr()) };
    let ciphers: Option<&StackRef<SslCipher>> = (!ciphers.is_null()).then(|| {
        let ciphers = ciphers.cast::<<Stack<SslCipher> as ForeignType>::CType>();
        // SAFETY: the stack belongs to the context, which stays borrowed while the reference lives, so
        // that nothing changes it meanwhile.
        unsafe { StackRef::from_ptr(ciphers) }
    });
    ciphers.into_iter().flatten()
}

/// The context in which this connection's session may be resumed, at most 32 bytes: a session of
/// another context does not resume. Call it before the handshake. SSL_set_session_id_context(3).
///
/// # Errors
///
/// When it is longer.
pub fn set_session_id_context(ssl: &mut SslRef, context: &[u8]) -> Result<(), ErrorStack> {
    let length = c_uint::try_from(context.len()).unwrap_or(c_uint::MAX);
    // SAFETY: the pointer is valid while `ssl` is borrowed, and the declaration is that of
    // openssl/ssl.h. OpenSSL copies the bytes, and refuses more than 32 without reading them.
    match unsafe { SSL_set_session_id_context(ssl.as_ptr(), context.as_ptr(), length) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Removes the connection's session from the cache of its context, so that it does not resume by its
/// ID: SSL_CTX_remove_session(3).
pub fn forget_session(ssl: &SslRef) {
    let Some(session) = ssl.session() else {
        return;
    };
    let context = ssl.ssl_context().as_ptr();
    // SAFETY: both pointers are valid while `ssl` is borrowed. OpenSSL locks the cache, and does nothing
    // if the session is not in it.
    unsafe { SSL_CTX_remove_session(context, session.as_ptr()) };
}

/// Makes the connection read as much as its buffer takes, instead of the header of a record and then its
/// rest. The buffer has `len` bytes, or more if a record needs more. Call it before the handshake.
/// SSL_CTX_set_read_ahead(3), SSL_CTX_set_default_read_buffer_len(3).
pub fn set_read_ahead(ssl: &mut SslRef, len: usize) {
    // SAFETY: the pointer is valid while `ssl` is borrowed, and the declarations are those of
    // openssl/ssl.h. Both set a field.
    unsafe {
        SSL_set_default_read_buffer_len(ssl.as_ptr(), len);
        SSL_set_read_ahead(ssl.as_ptr(), 1);
    }
}

/// Whether a read may return something without input from the stream: plaintext, the rest of what was
/// read ahead, or the peer's close_notify. SSL_has_pending(3), SSL_get_shutdown(3).
pub fn has_pending(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is valid while `ssl` is borrowed, and the declaration is that of
    // openssl/ssl.h. Both read fields.
    unsafe {
        SSL_has_pending(ssl.as_ptr()) == 1
            || SSL_get_shutdown(ssl.as_ptr()) & SSL_RECEIVED_SHUTDOWN != 0
    }
}

/// Adds a revocation list to a store: X509_STORE_add_crl(3).
///
/// # Errors
///
/// When OpenSSL is out of memory.
pub fn add_crl(store: &mut X509StoreBuilderRef, list: &X509CrlRef) -> Result<(), ErrorStack> {
    // SAFETY: both pointers are valid while their owners are borrowed, and the declaration is that of
    // openssl/x509_vfy.h. The store takes a reference of its own to the list and does not change it.
    match unsafe { X509_STORE_add_crl(store.as_ptr(), list.as_ptr()) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Why a certificate was not verified: the results that crate openssl has no names for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// There is no revocation list of the issuer.
    NoCrl,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate has expired.
    Expired,
    /// The revocation list is not valid yet.
    CrlNotYetValid,
    /// The revocation list is past its `nextUpdate`.
    CrlExpired,
    /// The revocation lists of the issuer are for other certificates.
    CrlScope,
    /// The issuer did not sign the revocation list.
    CrlSignature,
    /// The issuer may not sign revocation lists.
    CrlIssuer,
    /// The issuer is not an authority, or may not issue certificates.
    InvalidCa,
    /// There are more authorities in the chain than one of them allows.
    PathTooLong,
    /// There are more authorities in the chain than the verifier allows.
    ChainTooLong,
    /// The certificate contradicts itself.
    InvalidExtension,
}

impl VerifyError {
    const ALL: [(Self, c_int); 12] = [
        (Self::NoCrl, X509_V_ERR_UNABLE_TO_GET_CRL),
        (Self::NotYetValid, X509_V_ERR_CERT_NOT_YET_VALID),
        (Self::Expired, X509_V_ERR_CERT_HAS_EXPIRED),
        (Self::CrlNotYetValid, X509_V_ERR_CRL_NOT_YET_VALID),
        (Self::CrlExpired, X509_V_ERR_CRL_HAS_EXPIRED),
        (Self::CrlScope, X509_V_ERR_DIFFERENT_CRL_SCOPE),
        (Self::CrlSignature, X509_V_ERR_CRL_SIGNATURE_FAILURE),
        (Self::CrlIssuer, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN),
        (Self::InvalidCa, X509_V_ERR_INVALID_CA),
        (Self::PathTooLong, X509_V_ERR_PATH_LENGTH_EXCEEDED),
        (Self::ChainTooLong, X509_V_ERR_CERT_CHAIN_TOO_LONG),
        (Self::InvalidExtension, X509_V_ERR_INVALID_EXTENSION),
    ];

    /// The error of a result; `None` if it is another one.
    pub fn of(result: X509VerifyResult) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, number)| *number == result.as_raw())
            .map(|(error, _)| error)
    }

    /// The error as a result, which decides on the alert that the peer gets.
    pub fn result(self) -> X509VerifyResult {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|(error, _)| *error == self);
        let number = found.map_or(X509_V_ERR_UNABLE_TO_GET_CRL, |(_, number)| number);
        // SAFETY: it is a number of openssl/x509_vfy.h, so it is valid.
        unsafe { X509VerifyResult::from_raw(number) }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream, thread};

    use openssl::ssl::{
        Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslVersion,
    };

    use super::*;
    use crate::tests::context;

    /// A connection under TLS 1.2, without tickets. Returns whether the session resumed, and the session.
    fn visit(server: &SslContext, with: Option<&SslSession>, forget: bool) -> (bool, SslSession) {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let ssl = Ssl::new(server).expect("a session");
        let serve = thread::spawn(move || {
            let mut tls = ssl.accept(theirs).expect("a handshake");
            if forget {
                forget_session(tls.ssl());
                // It is no longer in the cache.
                forget_session(tls.ssl());
            }
            // OpenSSL forgets a session without it, on either side.
            let _ = tls.shutdown();
            let _ = tls.read(&mut [0]);
        });
        let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
        let version = Some(SslVersion::TLS1_2);
        client.set_max_proto_version(version).expect("set");
        client.set_options(SslOptions::NO_TICKET);
        let mut ssl = Ssl::new(&client.build()).expect("a session");
        if let Some(session) = with {
            // SAFETY: a context with the same settings made the session.
            unsafe { ssl.set_session(session) }.expect("set");
        }
        let mut tls = ssl.connect(ours).expect("a handshake");
        let resumed = tls.ssl().session_reused();
        let session = tls.ssl().session().expect("a session").to_owned();
        tls.shutdown().expect("sent");
        drop(tls);
        serve.join().expect("no panic");
        (resumed, session)
    }

    #[test]
    fn a_forgotten_session_does_not_resume() {
        let server = context(|context| {
            context.set_options(SslOptions::NO_TICKET);
            context.set_session_cache_mode(SslSessionCacheMode::SERVER);
        });
        let (resumed, kept) = visit(&server, None, false);
        assert!(!resumed);
        assert!(visit(&server, Some(&kept), false).0);
        // Another connection may use the session meanwhile.
        assert!(visit(&server, Some(&kept), true).0);
        assert!(!visit(&server, Some(&kept), false).0);
    }

    #[test]
    fn every_verify_error_has_its_number() {
        for (error, number) in VerifyError::ALL {
            assert_eq!(VerifyError::of(error.result()), Some(error));
            assert_eq!(error.result().as_raw(), number);
        }
        assert_eq!(VerifyError::of(X509VerifyResult::OK), None);
    }
}
