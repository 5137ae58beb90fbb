//! Reads the certificate of a PKCS#12 file, which only OpenSSL can open here.

use super::secret::Secret;
use crate::error::Error;

cfg_if::cfg_if! {
    if #[cfg(all(
        feature = "native-tls",
        not(any(target_os = "windows", target_vendor = "apple"))
    ))] {
        use openssl::{error::ErrorStack, pkcs12::Pkcs12};

        /// The server's own certificate, DER.
        pub(super) fn certificate(der: &Secret<Vec<u8>>, password: &Secret<String>) -> Result<Vec<u8>, Error> {
            let parsed = Pkcs12::from_der(der.expose())
                .and_then(|file| file.parse2(password.expose()))
                .map_err(unreadable)?;
            let certificate = parsed
                .cert
                .ok_or_else(|| Error::config("the PKCS#12 file contains no certificate"))?;
            certificate.to_der().map_err(unreadable)
        }

        fn unreadable(error: ErrorStack) -> Error {
            Error::config("the PKCS#12 file cannot be opened: check the password").with(error)
        }
    } else {
        /// The server's own certificate, DER.
        pub(super) fn certificate(_der: &Secret<Vec<u8>>, _password: &Secret<String>) -> Result<Vec<u8>, Error> {
            Err(Error::unsupported(
                "this build",
                "reading certificates from PKCS#12",
                "convert the file with `openssl pkcs12 -in FILE -nodes` and use Identity::from_pem",
            ))
        }
    }
}
