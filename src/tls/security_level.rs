//! What OpenSSL refuses by its security level, in words.

use crate::error::Error;

/// The bits of security that a level demands; `None` if it demands none. As OpenSSL's function
/// SSL_CTX_set_security_level(3) says.
#[cfg_attr(
    not(feature = "openssl"),
    expect(dead_code, reason = "native-tls has no list to judge")
)]
pub(super) fn min_strength(level: u32) -> Option<u32> {
    match level {
        0 => None,
        1 => Some(80),
        2 => Some(112),
        3 => Some(128),
        4 => Some(192),
        _ => Some(256),
    }
}

/// The error that replaces this text of OpenSSL; `None` if it has another reason.
pub(super) fn refusal(text: &str) -> Option<Error> {
    let level = "the security level of the system's OpenSSL (openssl.cnf) refuses";
    if text.contains("md too weak") {
        return Some(Error::config(format!(
            "{level} the hash that the certificate is signed with: have it issued again with SHA-256"
        )));
    }
    if text.contains("dh key too small") {
        return Some(Error::config(format!(
            "{level} the Diffie-Hellman parameters of 2048 bits that native-tls sets: level 3 needs 3072 \
             bits; use the backend openssl, or level 2"
        )));
    }
    if text.contains("key too small") {
        return Some(Error::config(format!(
            "{level} a key of the chain as too small: level 2 needs RSA of 2048 bits, level 3 RSA of 3072 \
             bits or ECDSA on P-256, level 4 RSA of 7680 bits or ECDSA on P-384"
        )));
    }
    None
}
