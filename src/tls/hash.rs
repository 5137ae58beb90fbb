//! The hashes by which an OCSP response names the issuer of a certificate (RFC 6960 section 4.1.1), by
//! the TLS library of this build.

use crate::error::Error;

/// The two that responders use (RFC 5019 section 2.1.1, RFC 9654).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

cfg_if::cfg_if! {
    if #[cfg(feature = "aws-lc-rs")] {
        use ::aws_lc_rs::digest;
    } else if #[cfg(feature = "ring")] {
        use ::ring::digest;
    } else if #[cfg(feature = "openssl")] {
        use openssl_ticket_keys::openssl;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(feature = "aws-lc-rs", feature = "ring"))] {
        impl Hash {
            pub(super) fn is_of(self, bytes: &[u8], hash: &[u8]) -> Result<bool, Error> {
                let algorithm = match self {
                    Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                    Self::Sha256 => &digest::SHA256,
                };
                Ok(digest::digest(algorithm, bytes).as_ref() == hash)
            }
        }
    } else if #[cfg(any(
        feature = "openssl",
        all(
            feature = "native-tls",
            not(any(target_os = "windows", target_vendor = "apple"))
        )
    ))] {
        use openssl::hash::{self, MessageDigest};

        impl Hash {
            pub(super) fn is_of(self, bytes: &[u8], hash: &[u8]) -> Result<bool, Error> {
                let algorithm = match self {
                    Self::Sha1 => MessageDigest::sha1(),
                    Self::Sha256 => MessageDigest::sha256(),
                };
                let computed = hash::hash(algorithm, bytes).map_err(|error| {
                    Error::config("OpenSSL cannot compute the hash of an OCSP response").with_source(error)
                })?;
                Ok(&*computed == hash)
            }
        }
    } else {
        impl Hash {
            /// A build for a backend of another crate has no hash: the serial number alone tells
            /// whether a response is about a certificate.
            pub(super) fn is_of(self, _bytes: &[u8], _hash: &[u8]) -> Result<bool, Error> {
                Ok(true)
            }
        }
    }
}
