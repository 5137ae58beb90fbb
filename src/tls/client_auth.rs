//! Client certificates: whether clients need one, and which authorities may have issued it.

use std::{fmt, path::Path, time::SystemTime};

use super::{certificate, identity::read, pem};
use crate::error::Error;

/// Client certificates (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4): whether a client needs one,
/// and the authorities that issue them.
///
/// The server refuses a client without the required certificate with the alert
/// `certificate_required` (116), and a client with an invalid certificate with the alert for the
/// reason. Under TLS 1.3 the alert arrives after the client has completed its handshake. The
/// certificates of the client are in
/// [`Negotiated::peer_certificates`](super::Negotiated::peer_certificates).
///
/// ```no_run
/// use corelane::tls::{ClientAuth, Identity, TlsConfig};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
/// let auth = ClientAuth::from_pem_file("ca.pem")?.crl_pem_file("ca.crl")?;
/// let config = TlsConfig::new(identity).client_auth(auth);
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[cfg_attr(
    not(feature = "rustls"),
    expect(dead_code, reason = "not every backend can ask for certificates")
)]
pub struct ClientAuth {
    pub(super) required: bool,
    /// DER.
    pub(super) authorities: Vec<Vec<u8>>,
    /// DER.
    pub(super) revocation_lists: Vec<Vec<u8>>,
}

impl ClientAuth {
    /// Requires a certificate that was issued by one of these authorities, directly or through
    /// intermediates. PEM in memory.
    ///
    /// # Errors
    ///
    /// When the PEM contains no certificate ([`Error::is_config`]).
    pub fn from_pem(authorities: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::pem(authorities.into(), "the CA bundle")
    }

    /// The same from a PEM file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or contains no certificate ([`Error::is_config`]).
    pub fn from_pem_file(authorities: impl AsRef<Path>) -> Result<Self, Error> {
        let file = authorities.as_ref();
        Self::pem(read(file)?, &file.display().to_string())
    }

    /// Serves clients without a certificate too. A certificate that a client sends has to be valid.
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Adds revocation lists, PEM in memory (RFC 5280 section 5).
    ///
    /// As soon as there is one list, every authority of a chain needs one that is not past its
    /// `nextUpdate`, except the authorities in [`from_pem`](Self::from_pem). The server refuses a
    /// client of an authority without a list with the alert `unknown_ca` (48), and a client with a
    /// revoked certificate with `certificate_revoked` (44).
    ///
    /// # Errors
    ///
    /// When the PEM contains no revocation list ([`Error::is_config`]).
    pub fn crl_pem(mut self, lists: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.add_lists(lists.as_ref(), "the PEM of revocation lists")?;
        Ok(self)
    }

    /// The same from a PEM file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or contains no revocation list ([`Error::is_config`]).
    pub fn crl_pem_file(mut self, lists: impl AsRef<Path>) -> Result<Self, Error> {
        let file = lists.as_ref();
        self.add_lists(&read(file)?, &file.display().to_string())?;
        Ok(self)
    }

    /// When the first of the revocation lists expires (`nextUpdate`, RFC 5280 section 5.1.2.5). From
    /// then on the server refuses all clients of its authority. `None` if no list has a `nextUpdate`.
    pub fn crl_next_update(&self) -> Option<SystemTime> {
        certificate::first_next_update(&self.revocation_lists)
    }

    fn pem(authorities: Vec<u8>, name: &str) -> Result<Self, Error> {
        Ok(Self {
            required: true,
            authorities: pem::certificates(&authorities, name)?,
            revocation_lists: Vec::new(),
        })
    }

    fn add_lists(&mut self, lists: &[u8], name: &str) -> Result<(), Error> {
        self.revocation_lists
            .extend(pem::revocation_lists(lists, name)?);
        Ok(())
    }
}

/// Without the PEM.
impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

    #[test]
    fn errors_explain_the_mistake() {
        let refusal = |result: Result<ClientAuth, Error>| {
            let error = result.expect_err("refused");
            assert!(error.is_config());
            error.to_string()
        };
        let said = refusal(ClientAuth::from_pem("\u{30}\u{82}"));
        assert!(said.contains("BEGIN CERTIFICATE") && said.contains("it is DER"));
        let said = refusal(ClientAuth::from_pem_file("/nonexistent/ca.pem"));
        assert!(said.contains("/nonexistent/ca.pem"), "{said}");
        let auth = ClientAuth::from_pem(CERTIFICATE).expect("a label that is known");
        let said = refusal(auth.clone().crl_pem(CERTIFICATE));
        assert!(
            said.contains("X509 CRL") && said.contains("it contains a certificate"),
            "{said}"
        );
        let said = refusal(auth.crl_pem_file("/nonexistent/ca.crl"));
        assert!(said.contains("/nonexistent/ca.crl"), "{said}");
    }
}
