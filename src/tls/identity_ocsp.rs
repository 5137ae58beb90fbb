//! The OCSP response of an identity.

use std::path::Path;

use super::{
    identity::{Identity, read},
    ocsp::OcspResponse,
    pem,
};
use crate::error::Error;

impl Identity {
    /// Adds the OCSP response about the certificate, in DER or PEM. A server sends it to clients that ask
    /// for it (RFC 6066 section 8, RFC 8446 section 4.4.2.1), from its `thisUpdate` until its
    /// `nextUpdate`: clients refuse another one. Default: none. `features.md` lists the backends that do
    /// not support it.
    ///
    /// The response is about this certificate if the serial number, the issuer's name and, where the
    /// chain has the issuer, the issuer's key are the same. A build without the features aws-lc-rs, ring,
    /// openssl and native-tls, for a backend of another crate, compares the serial number only. The
    /// signature is not verified: clients do so.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the response cannot be parsed, is about another certificate, or does not
    /// say that the certificate is good: it is revoked, or the responder does not know it.
    /// [`Error::is_unsupported`] if this build cannot read PKCS#12.
    pub fn with_ocsp_response(mut self, response: impl AsRef<[u8]>) -> Result<Self, Error> {
        let der = pem::ocsp_response(response.as_ref(), "the OCSP response");
        let read = der.and_then(|der| OcspResponse::from_der(der, &self.chain()?));
        self.ocsp_response = Some(read.map_err(|error| self.locate(error))?);
        Ok(self)
    }

    /// The same from a file.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the file cannot be read, and as for
    /// [`with_ocsp_response`](Self::with_ocsp_response).
    pub fn with_ocsp_response_file(mut self, file: impl AsRef<Path>) -> Result<Self, Error> {
        let file = file.as_ref();
        let name = file.display().to_string();
        let der = pem::ocsp_response(&read(file)?, &name)?;
        let read = OcspResponse::from_der(der, &self.chain()?);
        self.ocsp_response = Some(read.map_err(|error| self.locate(error.at(&name)))?);
        Ok(self)
    }

    /// The response of [`with_ocsp_response`](Self::with_ocsp_response).
    pub fn ocsp_response(&self) -> Option<&OcspResponse> {
        self.ocsp_response.as_ref()
    }
}
