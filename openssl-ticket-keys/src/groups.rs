//! The groups of a key exchange.

use std::{
    ffi::{CStr, c_int, c_long},
    ptr,
};

use foreign_types::ForeignTypeRef;
use openssl::{error::ErrorStack, ssl::SslRef};
use openssl_sys::{
    NID_X9_62_prime256v1, NID_X448, NID_X25519, NID_brainpoolP256r1, NID_brainpoolP384r1,
    NID_brainpoolP512r1, NID_secp384r1, NID_secp521r1, SSL_ctrl,
};

/// The groups that this connection's key exchange may use, by OpenSSL's names, with colons between them.
/// Call it before the handshake. SSL_set1_groups_list(3).
///
/// # Errors
///
/// When OpenSSL does not know one of them.
pub fn set_groups(ssl: &mut SslRef, names: &CStr) -> Result<(), ErrorStack> {
    /// SSL_CTRL_SET_GROUPS_LIST of openssl/ssl.h.
    const SET_GROUPS_LIST: c_int = 92;
    let list = names.as_ptr().cast_mut().cast();
    // SAFETY: both pointers are valid while their owners are borrowed. This is what the macro
    // SSL_set1_groups_list of openssl/ssl.h stands for. OpenSSL reads the list up to its zero, does not
    // write to it and keeps no pointer to it.
    match unsafe { SSL_ctrl(ssl.as_ptr(), SET_GROUPS_LIST, 0, list) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// The group of a server's key exchange, by its number in the IANA registry of TLS supported groups.
/// `None` if there was none. Under TLS 1.2 a resumed session has none, and OpenSSL may give that of the
/// full handshake.
pub fn key_exchange_group(ssl: &SslRef) -> Option<u16> {
    #[cfg(openssl_3)]
    return negotiated(ssl);
    #[cfg(not(openssl_3))]
    return without_getter::negotiated(ssl);
}

/// SSL_get_negotiated_group(3), since OpenSSL 3.0.
#[cfg(openssl_3)]
fn negotiated(ssl: &SslRef) -> Option<u16> {
    /// SSL_CTRL_GET_NEGOTIATED_GROUP of openssl/ssl.h.
    const GET_NEGOTIATED_GROUP: c_int = 134;
    // SAFETY: the pointer is valid while `ssl` is borrowed. This is what the macro
    // SSL_get_negotiated_group of openssl/ssl.h stands for; it only reads.
    number(unsafe { SSL_ctrl(ssl.as_ptr(), GET_NEGOTIATED_GROUP, 0, ptr::null_mut()) })
}

/// OpenSSL 1.1.1 has no getter. It also works in OpenSSL 3, so that the tests run it.
#[cfg(any(not(openssl_3), test))]
pub(crate) mod without_getter {
    use foreign_types::ForeignType;
    use openssl::{
        pkey::{Id, PKey, Public},
        ssl::SslVersion,
    };
    use openssl_sys::EVP_PKEY;

    use super::*;

    /// Under TLS 1.3 the group of the key share that the client sent. Under TLS 1.2 the first one that
    /// both sides have, which a server uses.
    pub(crate) fn negotiated(ssl: &SslRef) -> Option<u16> {
        if ssl.version2() == Some(SslVersion::TLS1_3) {
            return number(group_of(&peer_key(ssl)?)?.into());
        }
        /// SSL_CTRL_GET_SHARED_GROUP of openssl/ssl.h.
        const GET_SHARED_GROUP: c_int = 93;
        let uses_one = ssl.current_cipher()?.name().starts_with("ECDHE-");
        // SAFETY: the pointer is valid while `ssl` is borrowed. This is what the macro
        // SSL_get_shared_group of openssl/ssl.h stands for; it only reads.
        let first = || unsafe { SSL_ctrl(ssl.as_ptr(), GET_SHARED_GROUP, 0, ptr::null_mut()) };
        uses_one.then(first).and_then(number)
    }

    fn peer_key(ssl: &SslRef) -> Option<PKey<Public>> {
        /// SSL_CTRL_GET_PEER_TMP_KEY of openssl/ssl.h.
        const GET_PEER_TMP_KEY: c_int = 109;
        let mut key: *mut EVP_PKEY = ptr::null_mut();
        let out = ptr::from_mut(&mut key).cast();
        // SAFETY: the pointers are valid. This is what the macro SSL_get_peer_tmp_key of openssl/ssl.h
        // stands for. It writes a pointer to the key, of which the caller owns a reference.
        let found = unsafe { SSL_ctrl(ssl.as_ptr(), GET_PEER_TMP_KEY, 0, out) } == 1;
        // SAFETY: OpenSSL has written a valid pointer, and its reference is ours.
        (found && !key.is_null()).then(|| unsafe { PKey::from_ptr(key) })
    }

    fn group_of(key: &PKey<Public>) -> Option<c_int> {
        match key.id() {
            Id::EC => Some(key.ec_key().ok()?.group().curve_name()?.as_raw()),
            other => Some(other.as_raw()),
        }
    }
}

/// The number of a group that OpenSSL has another one for.
fn number(group: c_long) -> Option<u16> {
    /// TLSEXT_nid_unknown of openssl/tls1.h.
    const UNKNOWN: c_long = 0x0100_0000;
    /// The numbers without a name here are those of openssl/obj_mac.h.
    const KNOWN: [(c_int, u16); 16] = [
        (NID_X9_62_prime256v1, 23),
        (NID_secp384r1, 24),
        (NID_secp521r1, 25),
        (NID_brainpoolP256r1, 26),
        (NID_brainpoolP384r1, 27),
        (NID_brainpoolP512r1, 28),
        (NID_X25519, 29),
        (NID_X448, 30),
        // Those of RFC 8734.
        (1285, 31),
        (1286, 32),
        (1287, 33),
        // Those of RFC 7919.
        (1126, 256),
        (1127, 257),
        (1128, 258),
        (1129, 259),
        (1130, 260),
    ];
    if group & UNKNOWN != 0 {
        return u16::try_from(group & !UNKNOWN).ok();
    }
    let mut known = KNOWN.into_iter();
    let found = known.find(|(nid, _)| c_long::from(*nid) == group);
    found.map(|(_, number)| number)
}
