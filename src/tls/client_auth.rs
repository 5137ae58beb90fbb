//! Whether clients are asked for certificates, and who has to have issued them.

use std::{path::Path, time::SystemTime};

use super::{
    certificate,
    identity::{found, labels, read},
};
use crate::error::Error;

/// The label of revocation lists in PEM (RFC 7468 section 6).
const CRL: &str = "X509 CRL";

/// Client certificates (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4): whether a client has to
/// have one, and the authorities that issue them.
///
/// A client that has to have a certificate and sends none is refused with the alert
/// `certificate_required` (116), one whose certificate is not accepted with the alert that says
/// why; under TLS 1.3 either arrives after the handshake is over for the client. What it sent is
/// in [`Negotiated::peer_certificates`](super::Negotiated::peer_certificates).
///
/// ```no_run
/// use corelane::tls::{ClientAuth, Identity, TlsConfig};
///
/// # fn main() -> Result<(), corelane::Error> {
/// let mut config = TlsConfig::new(Identity::from_pem_files("cert.pem", "key.pem")?);
/// config.client_auth = Some(ClientAuth::from_pem_file("ca.pem")?.crl_pem_file("ca.crl")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "rustls"),
    expect(dead_code, reason = "not every backend can ask for certificates")
)]
pub struct ClientAuth {
    pub(super) required: bool,
    /// PEM, like the lists.
    pub(super) authorities: Vec<u8>,
    pub(super) revocation_lists: Vec<u8>,
}

impl ClientAuth {
    /// Clients have to have a certificate that goes back to one of these authorities, PEM in
    /// memory.
    pub fn from_pem(authorities: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::pem(authorities.into(), "what is to hold the authorities")
    }

    /// The same from a PEM file.
    pub fn from_pem_file(authorities: impl AsRef<Path>) -> Result<Self, Error> {
        let file = authorities.as_ref();
        Self::pem(read(file)?, &file.display().to_string())
    }

    /// Serves clients without a certificate too; one that is sent has to be accepted.
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Revocation lists, PEM in memory (RFC 5280 section 5).
    ///
    /// With any there has to be one of every authority of a chain, but for the certificates in
    /// [`from_pem`](Self::from_pem) themselves, and none past its `nextUpdate`: who cannot be
    /// looked up is refused with the alert `unknown_ca` (48), who is revoked with
    /// `certificate_revoked` (44).
    pub fn crl_pem(mut self, lists: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.add_lists(lists.as_ref(), "what is to hold revocation lists")?;
        Ok(self)
    }

    /// The same from a PEM file.
    pub fn crl_pem_file(mut self, lists: impl AsRef<Path>) -> Result<Self, Error> {
        let file = lists.as_ref();
        self.add_lists(&read(file)?, &file.display().to_string())?;
        Ok(self)
    }

    /// When the first of the revocation lists ends (`nextUpdate`, RFC 5280 section 5.1.2.5): from then
    /// on every client of its authority is refused. `None` where no list says when it ends.
    pub fn crl_next_update(&self) -> Option<SystemTime> {
        certificate::first_next_update(&self.revocation_lists, CRL)
    }

    fn pem(authorities: Vec<u8>, name: &str) -> Result<Self, Error> {
        expect_label(&authorities, "CERTIFICATE", name)?;
        Ok(Self {
            required: true,
            authorities,
            revocation_lists: Vec::new(),
        })
    }

    fn add_lists(&mut self, lists: &[u8], name: &str) -> Result<(), Error> {
        expect_label(lists, CRL, name)?;
        // A file need not end with the end of a line.
        self.revocation_lists.push(b'\n');
        self.revocation_lists.extend_from_slice(lists);
        Ok(())
    }
}

fn expect_label(pem: &[u8], label: &str, name: &str) -> Result<(), Error> {
    if labels(pem).iter().any(|found| found == label) {
        return Ok(());
    }
    Err(Error::config(format!(
        "{name} holds no `-----BEGIN {label}-----`{}",
        found(pem)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

    #[test]
    fn mistakes_are_explained() {
        let refusal = |result: Result<ClientAuth, Error>| {
            let error = result.expect_err("refused");
            assert!(error.is_config());
            error.to_string()
        };
        let said = refusal(ClientAuth::from_pem("\u{30}\u{82}"));
        assert!(said.contains("BEGIN CERTIFICATE") && said.contains("no PEM at all"));
        let said = refusal(ClientAuth::from_pem_file("/nonexistent/ca.pem"));
        assert!(said.contains("/nonexistent/ca.pem"), "{said}");
        let auth = ClientAuth::from_pem(CERTIFICATE).expect("a label that is known");
        let said = refusal(auth.clone().crl_pem(CERTIFICATE));
        assert!(
            said.contains("X509 CRL") && said.contains("CERTIFICATE"),
            "{said}"
        );
        let said = refusal(auth.crl_pem_file("/nonexistent/ca.crl"));
        assert!(said.contains("/nonexistent/ca.crl"), "{said}");
    }
}
