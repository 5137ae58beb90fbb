//! Converts private keys to PKCS#8 in PEM, the only format that native-tls takes.

use super::{identity::Identity, pem::PrivateKey, secret::Secret};
use crate::error::Error;

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "windows", target_vendor = "apple"))] {
        use super::pem::{self, KeyFormat};

        /// Writes the key as PEM, if it is PKCS#8.
        pub(super) fn pkcs8(
            _identity: &Identity,
            _chain: &[Vec<u8>],
            key: &PrivateKey,
        ) -> Result<Secret<Vec<u8>>, Error> {
            match key.format {
                KeyFormat::Pkcs8 => {
                    let pem = pem::encode("PRIVATE KEY", key.der.expose());
                    Ok(Secret::new(pem.into_bytes()))
                }
                KeyFormat::Pkcs1 | KeyFormat::Sec1 => Err(Error::unsupported(
                    "native-tls",
                    "private keys in PKCS#1 and SEC1",
                    "convert the key with `openssl pkey -in KEY -out PKCS8`",
                )),
            }
        }
    } else {
        use openssl::{pkey::PKey, x509::X509};

        /// Converts the key to PKCS#8, the only format that native-tls takes. Also checks that the
        /// key belongs to the certificate: native-tls drops any other key without an error.
        pub(super) fn pkcs8(
            identity: &Identity,
            chain: &[Vec<u8>],
            key: &PrivateKey,
        ) -> Result<Secret<Vec<u8>>, Error> {
            let leaf = chain.first().map_or(&[][..], Vec::as_slice);
            let certificate = X509::from_der(leaf)
                .map_err(|error| Error::config("OpenSSL cannot read the certificate").with_source(error))?;
            let certificate = certificate.public_key().map_err(|_| identity.unknown_key())?;
            // OpenSSL's reasons say nothing to a user.
            let key = PKey::private_key_from_der(key.der.expose()).map_err(|_| Identity::damaged_key())?;
            if !certificate.public_eq(&key) {
                return Err(identity.mismatch(""));
            }
            key.private_key_to_pem_pkcs8().map(Secret::new).map_err(|_| Identity::damaged_key())
        }
    }
}
