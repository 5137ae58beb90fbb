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
            pub(super) fn of(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
                let algorithm = match self {
                    Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                    Self::Sha256 => &digest::SHA256,
                };
                Ok(digest::digest(algorithm, bytes).as_ref().to_vec())
            }
        }
    } else if #[cfg(any(
        feature = "openssl",
        all(
            feature = "native-tls",
            not(any(target_os = "windows", target_vendor = "apple"))
        )
    ))] {
        use openssl::hash::{MessageDigest, hash};

        impl Hash {
            pub(super) fn of(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
                let algorithm = match self {
                    Self::Sha1 => MessageDigest::sha1(),
                    Self::Sha256 => MessageDigest::sha256(),
                };
                let hashed = hash(algorithm, bytes).map_err(|error| {
                    Error::config("OpenSSL cannot compute the hash of an OCSP response").with(error)
                })?;
                Ok(hashed.to_vec())
            }
        }
    } else {
        impl Hash {
            pub(super) fn of(self, _bytes: &[u8]) -> Result<Vec<u8>, Error> {
                Err(Error::unsupported(
                    "this build",
                    "OCSP responses",
                    "it has no hash to check them by: build with the feature aws-lc-rs, ring or openssl",
                ))
            }
        }
    }
}
