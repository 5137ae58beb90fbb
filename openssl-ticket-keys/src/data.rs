//! Data of the application in tickets: SSL_CTX_set_session_ticket_cb(3).

use std::{
    ffi::{c_int, c_uchar, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
};

use foreign_types::ForeignTypeRef;
use openssl::{
    error::ErrorStack,
    ssl::{SslContextBuilder, SslRef},
};
use openssl_sys::{SSL, SSL_CTX, SSL_SESSION};

use crate::callback::keys_of;

type Seal = unsafe extern "C" fn(*mut SSL, *mut c_void) -> c_int;
type Open = unsafe extern "C" fn(
    *mut SSL,
    *mut SSL_SESSION,
    *const c_uchar,
    usize,
    c_int,
    *mut c_void,
) -> c_int;

unsafe extern "C" {
    fn SSL_CTX_set_session_ticket_cb(
        context: *mut SSL_CTX,
        seal: Option<Seal>,
        open: Option<Open>,
        argument: *mut c_void,
    ) -> c_int;
    fn SSL_SESSION_set1_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *const c_void,
        len: usize,
    ) -> c_int;
    fn SSL_SESSION_get0_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *mut *mut c_void,
        len: *mut usize,
    ) -> c_int;
}

/// Values of SSL_TICKET_STATUS and SSL_TICKET_RETURN of openssl/ssl.h.
const SUCCESS: c_int = 5;
const SUCCESS_RENEW: c_int = 6;
const IGNORE_RENEW: c_int = 2;
const USE: c_int = 3;
const USE_RENEW: c_int = 4;

pub(crate) fn install(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    // SAFETY: the pointer is valid while the builder is borrowed, and the declaration is that of
    // openssl/ssl.h. The callbacks are functions, which live as long as the program, and use no
    // argument.
    match unsafe {
        SSL_CTX_set_session_ticket_cb(context.as_ptr(), Some(seal), Some(open), ptr::null_mut())
    } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// # Safety
///
/// OpenSSL calls it before it seals the session of the connection.
unsafe extern "C" fn seal(ssl: *mut SSL, _argument: *mut c_void) -> c_int {
    let work = || {
        // SAFETY: OpenSSL gave the connection for this call, as for the callback of the keys.
        let ssl = unsafe { SslRef::from_ptr_mut(ssl) };
        let Some(keys) = keys_of(ssl) else {
            return true;
        };
        #[cfg(not(openssl_3))]
        without_ticket(ssl, &keys);
        // A session that resumes has its data already. It may be in use by other connections.
        if ssl.session_reused() {
            return true;
        }
        let data = keys.data(ssl);
        let Some(session) = ssl.session().filter(|_| !data.is_empty()) else {
            return true;
        };
        let (data, length) = (data.as_ptr().cast(), data.len());
        // SAFETY: the session belongs to the connection, which made it in this handshake, so no other
        // thread knows it. OpenSSL copies the data.
        unsafe { SSL_SESSION_set1_ticket_appdata(session.as_ptr(), data, length) == 1 }
    };
    // A panic must not reach C. The handshake fails.
    c_int::from(catch_unwind(AssertUnwindSafe(work)).unwrap_or(false))
}

/// If there is no key, OpenSSL 1.1.1 sends a message that TLS 1.3 does not allow, and the client ends the
/// connection. With this option the ticket is the name of a session in the server's cache.
#[cfg(not(openssl_3))]
fn without_ticket(ssl: &mut SslRef, keys: &crate::callback::Keys) {
    use std::ffi::c_ulong;

    unsafe extern "C" {
        fn SSL_set_options(ssl: *mut SSL, options: c_ulong) -> c_ulong;
    }

    let is_tls_1_3 = ssl.version2() == Some(openssl::ssl::SslVersion::TLS1_3);
    if is_tls_1_3 && keys.seal(ssl).is_none() {
        // SAFETY: the pointer is valid while `ssl` is borrowed, and the declaration is that of
        // openssl/ssl.h of OpenSSL 1.1.1.
        unsafe { SSL_set_options(ssl.as_ptr(), openssl_sys::SSL_OP_NO_TICKET) };
    }
}

/// # Safety
///
/// OpenSSL calls it for each ticket. `session` is valid if `status` is one of success.
unsafe extern "C" fn open(
    ssl: *mut SSL,
    session: *mut SSL_SESSION,
    _name: *const c_uchar,
    _name_len: usize,
    status: c_int,
    _argument: *mut c_void,
) -> c_int {
    let done = match status {
        SUCCESS => USE,
        SUCCESS_RENEW => USE_RENEW,
        _ => return IGNORE_RENEW,
    };
    let work = || {
        // SAFETY: OpenSSL gave the connection for this call, as for the callback of the keys.
        let ssl = unsafe { SslRef::from_ptr_mut(ssl) };
        let Some(keys) = keys_of(ssl) else {
            return;
        };
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: the session is valid, by this function's contract. OpenSSL writes both values.
        let known = unsafe { SSL_SESSION_get0_ticket_appdata(session, &mut data, &mut length) };
        if known == 1 && !data.is_null() && length > 0 {
            // SAFETY: the data belongs to the session, which OpenSSL has just read from the ticket.
            // Nothing changes or frees it during this call.
            let data = unsafe { slice::from_raw_parts(data.cast::<u8>(), length) };
            keys.opened(ssl, data);
        }
    };
    // A panic must not reach C. OpenSSL frees the session and continues with a full handshake; to end
    // the handshake here would leak the session.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => done,
        Err(_) => IGNORE_RENEW,
    }
}
