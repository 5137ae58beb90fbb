//! The interface of OpenSSL 3, with EVP_MAC.

use std::{
    ffi::{c_int, c_uchar},
    ptr,
};

use openssl::{error::ErrorStack, ssl::SslContextBuilder};
use openssl_sys::{
    EVP_CIPHER_CTX, EVP_MAC_CTX, EVP_MAC_init, OSSL_PARAM, OSSL_PARAM_construct_end, SSL, SSL_CTX,
};

use crate::callback::answer;

type Callback = unsafe extern "C" fn(
    *mut SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut EVP_CIPHER_CTX,
    *mut EVP_MAC_CTX,
    c_int,
) -> c_int;

unsafe extern "C" {
    fn SSL_CTX_set_tlsext_ticket_key_evp_cb(
        context: *mut SSL_CTX,
        callback: Option<Callback>,
    ) -> c_int;
}

pub(crate) fn install(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    // SAFETY: the pointer is valid while the builder is borrowed, and the declaration is that of
    // openssl/ssl.h. The callback is a function, which lives as long as the program.
    match unsafe { SSL_CTX_set_tlsext_ticket_key_evp_cb(context.as_ptr(), Some(callback)) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// # Safety
///
/// OpenSSL calls it, as SSL_CTX_set_tlsext_ticket_key_evp_cb(3) says.
unsafe extern "C" fn callback(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    seal: c_int,
) -> c_int {
    let init_mac = |key: &[u8; 32]| {
        /// OSSL_PARAM_UTF8_STRING of openssl/core.h.
        const UTF8_STRING: u32 = 4;
        let digest = c"SHA2-256";
        let digest = OSSL_PARAM {
            key: c"digest".as_ptr(),
            data_type: UTF8_STRING,
            data: digest.as_ptr().cast_mut().cast(),
            data_size: digest.count_bytes(),
            return_size: 0,
        };
        // SAFETY: it takes no argument and returns a value.
        let parameters = [digest, unsafe { OSSL_PARAM_construct_end() }];
        // SAFETY: OpenSSL gave the context, of an HMAC, for this call. It copies the key and only
        // reads the parameters, which live until the call returns.
        unsafe {
            EVP_MAC_init(
                mac,
                key.as_ptr(),
                key.len(),
                ptr::from_ref(&parameters).cast(),
            ) == 1
        }
    };
    // SAFETY: these are the arguments of OpenSSL's call.
    unsafe { answer(ssl, name, iv, cipher, seal, init_mac) }
}
