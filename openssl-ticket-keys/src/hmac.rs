//! The interface of OpenSSL 1.1.1, with HMAC.

use std::{
    ffi::{c_int, c_long, c_uchar},
    mem::transmute,
    ptr,
};

use openssl::{error::ErrorStack, ssl::SslContextBuilder};
use openssl_sys::{
    EVP_CIPHER_CTX, EVP_sha256, HMAC_CTX, HMAC_Init_ex, SSL, SSL_CTX_callback_ctrl__fixed_rust,
};

use crate::callback::answer;

type Callback = unsafe extern "C" fn(
    *mut SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut EVP_CIPHER_CTX,
    *mut HMAC_CTX,
    c_int,
) -> c_int;

/// SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB of openssl/ssl.h.
const SET_TICKET_KEY_CALLBACK: c_int = 72;

pub(crate) fn install(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    // SAFETY: OpenSSL casts it back to this type, by the number in the call below, before it calls it.
    let callback = unsafe { transmute::<Callback, unsafe extern "C" fn()>(callback) };
    // SAFETY: the pointer is valid while the builder is borrowed. This is what the macro
    // SSL_CTX_set_tlsext_ticket_key_cb of openssl/ssl.h stands for. The callback is a function, which
    // lives as long as the program.
    let result: c_long = unsafe {
        SSL_CTX_callback_ctrl__fixed_rust(context.as_ptr(), SET_TICKET_KEY_CALLBACK, Some(callback))
    };
    match result {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// # Safety
///
/// OpenSSL calls it, as SSL_CTX_set_tlsext_ticket_key_cb(3) says.
unsafe extern "C" fn callback(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut HMAC_CTX,
    seal: c_int,
) -> c_int {
    let init_mac = |key: &[u8; 32]| {
        // The length of the key, 32, fits.
        let (bytes, length) = (key.as_ptr().cast(), key.len() as c_int);
        // SAFETY: OpenSSL gave the context for this call. It copies the key.
        unsafe { HMAC_Init_ex(mac, bytes, length, EVP_sha256(), ptr::null_mut()) == 1 }
    };
    // SAFETY: these are the arguments of OpenSSL's call.
    unsafe { answer(ssl, name, iv, cipher, seal, init_mac) }
}
