//! What the callbacks of both interfaces share: all but the context of the MAC.

use std::{
    ffi::{c_int, c_uchar},
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::{Arc, OnceLock},
};

use foreign_types::ForeignTypeRef;
use openssl::{
    cipher::Cipher,
    cipher_ctx::CipherCtxRef,
    error::ErrorStack,
    ex_data::Index,
    rand::rand_bytes,
    ssl::{SslContext, SslContextBuilder, SslRef, SslVersion},
};
use openssl_sys::{EVP_CIPHER_CTX, SSL};

use crate::keys::{NAME_LEN, Opening, TicketKeys};

/// The length of the IV of AES-CBC, which is also that of OpenSSL's buffer, EVP_MAX_IV_LENGTH.
const IV_LEN: usize = 16;

/// The callback's results: SSL_CTX_set_tlsext_ticket_key_evp_cb(3).
const FAILED: c_int = -1;
const NO_TICKET: c_int = 0;
const DONE: c_int = 1;
const DONE_AND_RENEW: c_int = 2;

pub(crate) type Keys = Arc<dyn TicketKeys>;

fn index() -> Result<Index<SslContext, Keys>, ErrorStack> {
    static INDEX: OnceLock<Index<SslContext, Keys>> = OnceLock::new();
    if let Some(index) = INDEX.get() {
        return Ok(*index);
    }
    // If two threads come here, one index stays unused.
    let new = SslContext::new_ex_index()?;
    Ok(*INDEX.get_or_init(|| new))
}

/// Stores the keys in the context, which drops them at its end.
pub(crate) fn store(context: &mut SslContextBuilder, keys: Keys) -> Result<(), ErrorStack> {
    context.set_ex_data(index()?, keys);
    Ok(())
}

/// The keys of the connection's context.
pub(crate) fn keys_of(ssl: &SslRef) -> Option<Keys> {
    let index = index().ok()?;
    ssl.ssl_context().ex_data(index).map(Arc::clone)
}

/// Answers a call of OpenSSL. `init_mac` gives the context of the MAC its key.
///
/// # Safety
///
/// The arguments are those of OpenSSL's call: `ssl` and `cipher` are valid and used by no other thread,
/// `name` has [`NAME_LEN`] bytes and `iv` [`IV_LEN`], which may be written if `seal` is not 0.
pub(crate) unsafe fn answer(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    seal: c_int,
    init_mac: impl FnOnce(&[u8; 32]) -> bool,
) -> c_int {
    let work = || {
        // SAFETY: by this function's contract. Crate openssl makes the same reference for its own
        // callbacks; the one of the caller that is in SSL_do_handshake is not used meanwhile.
        let ssl = unsafe { SslRef::from_ptr_mut(ssl) };
        // SAFETY: by this function's contract.
        let cipher = unsafe { CipherCtxRef::from_ptr_mut(cipher) };
        let Some(keys) = keys_of(ssl) else {
            return Ok(NO_TICKET);
        };
        let aes = Some(Cipher::aes_256_cbc());
        let (key, done) = if seal != 0 {
            let Some(key) = keys.seal(ssl) else {
                return Ok(NO_TICKET);
            };
            // SAFETY: by this function's contract. The bytes may be uninitialised, so each buffer is
            // written before a slice of it exists.
            let iv = unsafe {
                name.copy_from_nonoverlapping(key.name.as_ptr(), NAME_LEN);
                iv.write_bytes(0, IV_LEN);
                slice::from_raw_parts_mut(iv, IV_LEN)
            };
            rand_bytes(iv)?;
            cipher.encrypt_init(aes, Some(&key.aes), Some(iv))?;
            (key, DONE)
        } else {
            // SAFETY: by this function's contract. Both point into the ClientHello, of which OpenSSL
            // has checked that it has these bytes.
            let (name, iv) = unsafe {
                let name = name.cast::<[u8; NAME_LEN]>().read();
                (name, iv.cast::<[u8; IV_LEN]>().read())
            };
            let Some(Opening { key, renew }) = keys.open(ssl, &name) else {
                return Ok(NO_TICKET);
            };
            cipher.decrypt_init(aes, Some(&key.aes), Some(&iv))?;
            // With its own keys OpenSSL does so itself: a ticket is for one use (RFC 8446 appendix C.4).
            let renew = renew || ssl.version2() == Some(SslVersion::TLS1_3);
            (key, if renew { DONE_AND_RENEW } else { DONE })
        };
        Ok::<_, ErrorStack>(if init_mac(&key.hmac) { done } else { FAILED })
    };
    // A panic must not reach C. What it may leave half done is OpenSSL's connection, which fails.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) | Err(_) => FAILED,
    }
}
