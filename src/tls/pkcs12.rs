//! Reads the certificate of a PKCS#12 file, which only OpenSSL can open here.

use super::secret::Secret;
use crate::error::Error;

cfg_if::cfg_if! {
    if #[cfg(feature = "openssl")] {
        use openssl_ticket_keys::openssl;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(
        feature = "openssl",
        all(
            feature = "native-tls",
            not(any(target_os = "windows", target_vendor = "apple"))
        )
    ))] {
        use openssl::{
            error::{Error as OneError, ErrorStack},
            pkcs12::Pkcs12,
        };

        /// The server's own certificate, DER.
        pub(super) fn certificate(der: &Secret<Vec<u8>>, password: &Secret<String>) -> Result<Vec<u8>, Error> {
            let file = Pkcs12::from_der(der.expose())
                .map_err(|_| Error::config("the content is not PKCS#12 in DER"))?;
            let parsed = file.parse2(password.expose()).map_err(|error| unreadable(&error))?;
            let certificate = parsed
                .cert
                .ok_or_else(|| Error::config("the PKCS#12 file contains no certificate"))?;
            certificate.to_der().map_err(|error| unreadable(&error))
        }

        fn unreadable(error: &ErrorStack) -> Error {
            let has = |reason: &str| error.errors().iter().any(|it: &OneError| it.reason() == Some(reason));
            // Without the algorithm OpenSSL cannot verify the MAC either.
            Error::config(if has("unsupported") {
                "the PKCS#12 file cannot be opened: this OpenSSL lacks an algorithm that the file is encrypted \
                 or authenticated with, because it is old or FIPS forbids it; convert the file to PEM \
                 with `openssl pkcs12 -legacy -in FILE -nodes -out PEM`, on a host without FIPS mode"
            } else if has("mac verify failure") {
                "the PKCS#12 file cannot be opened: the password is wrong"
            } else {
                "the PKCS#12 file cannot be opened: check the password; if it is right, the file \
                 is encrypted with an old algorithm: write it again with `openssl pkcs12 -legacy \
                 -in FILE -nodes -out PEM` and `openssl pkcs12 -export -in PEM -out NEW`"
            })
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
