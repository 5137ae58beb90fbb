//! Client certificates: whether clients need one, and which authorities may have issued it.

use std::{fmt, path::Path, time::SystemTime};

#[cfg(any(feature = "rustls", feature = "openssl"))]
use super::certificate::list_fault;
use super::{
    certificate::{Certificate, RevocationList},
    identity::read,
    pem,
};
use crate::error::Error;

/// Client certificates (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4): whether a client needs one,
/// and the authorities that issue them.
///
/// The server refuses a client without the required certificate with the alert
/// `certificate_required` (116), and a client with an invalid certificate with the alert for the reason. Under TLS 1.3 the alert arrives after the client has completed its handshake. The
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
    not(any(feature = "rustls", feature = "openssl")),
    expect(dead_code, reason = "not every backend can ask for certificates")
)]
pub struct ClientAuth {
    pub(super) required: bool,
    /// DER.
    pub(super) authorities: Vec<Vec<u8>>,
    /// DER.
    pub(super) revocation_lists: Vec<Vec<u8>>,
    pub(super) allow_expired_crls: bool,
    /// In the order of `revocation_lists`.
    lists: Vec<RevocationList>,
    /// Names the authorities in errors.
    pub(super) authorities_name: String,
    /// Names each list in errors.
    pub(super) list_names: Vec<String>,
}

impl ClientAuth {
    /// Requires a certificate that was issued by one of these authorities, directly or through
    /// intermediates. PEM in memory.
    ///
    /// # Errors
    ///
    /// When the PEM contains no certificate, or one that cannot be parsed ([`Error::is_config`]).
    pub fn from_pem(authorities: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::pem(authorities.into(), "the CA bundle")
    }

    /// The same from a PEM file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as for [`from_pem`](Self::from_pem) ([`Error::is_config`]).
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
    /// When the PEM contains no revocation list, or one that cannot be parsed ([`Error::is_config`]).
    pub fn crl_pem(mut self, lists: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.add_lists(lists.as_ref(), "the PEM of revocation lists")?;
        Ok(self)
    }

    /// The same from a PEM file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as for [`crl_pem`](Self::crl_pem) ([`Error::is_config`]).
    pub fn crl_pem_file(mut self, lists: impl AsRef<Path>) -> Result<Self, Error> {
        let file = lists.as_ref();
        self.add_lists(&read(file)?, &file.display().to_string())?;
        Ok(self)
    }

    /// Uses a revocation list past its `nextUpdate` like any other. By default the server refuses all
    /// clients of its authority then.
    ///
    /// An old list does not have certificates that were revoked after it was issued. Allow it where
    /// clients that cannot connect are worse than a revoked one that can.
    pub fn allow_expired_crls(mut self) -> Self {
        self.allow_expired_crls = true;
        self
    }

    /// The revocation lists, in the order in which they were added.
    pub fn revocation_lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// Whether a client needs a certificate; `false` after [`optional`](Self::optional).
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// The certificates of the authorities, DER. All of them are trusted, also those that another
    /// authority has issued.
    pub fn authorities(&self) -> &[Vec<u8>] {
        &self.authorities
    }

    /// When the first of the revocation lists expires (`nextUpdate`, RFC 5280 section 5.1.2.5). From
    /// then on the server refuses all clients of its authority, unless
    /// [`allow_expired_crls`](Self::allow_expired_crls) says otherwise. `None` if no list has a
    /// `nextUpdate`.
    pub fn crl_next_update(&self) -> Option<SystemTime> {
        self.lists.iter().filter_map(|list| list.next_update).min()
    }

    /// The policy as bytes: equal for equal policies only, because each part follows its kind and
    /// length. Resuming a session skips the check of certificates, so a session must not resume under
    /// another policy.
    #[cfg(any(feature = "rustls", feature = "openssl"))]
    pub(super) fn describe(&self) -> Vec<u8> {
        // Without `..`, so that a new field does not compile until it is considered here.
        let Self {
            required,
            authorities,
            revocation_lists,
            allow_expired_crls,
            lists: _,
            authorities_name: _,
            list_names: _,
        } = self;
        let mut text = vec![if *required { b'R' } else { b'O' }];
        if *allow_expired_crls {
            text.push(b'E');
        }
        let authorities = authorities.iter().map(|authority| (b'A', authority));
        let lists = revocation_lists.iter().map(|list| (b'L', list));
        for (kind, part) in authorities.chain(lists) {
            text.push(kind);
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part);
        }
        text
    }

    /// # Errors
    ///
    /// [`Error::is_config`] about the first list that no backend can use.
    #[cfg(any(feature = "rustls", feature = "openssl"))]
    pub(super) fn check_lists(&self) -> Result<(), Error> {
        let mut lists = self.revocation_lists.iter().zip(&self.list_names);
        let found = lists.find_map(|(list, name)| Some((name, list_fault(list)?)));
        found.map_or(Ok(()), |(name, fault)| {
            Err(Error::config(format!(
                "{name}: it cannot be used to verify clients: {fault}"
            )))
        })
    }

    fn pem(authorities: Vec<u8>, name: &str) -> Result<Self, Error> {
        let authorities = pem::certificates(&authorities, name)?;
        for (der, number) in authorities.iter().zip(1..) {
            Certificate::from_der(der)
                .map_err(|error| error.at(&format!("{name}, certificate {number}")))?;
        }
        Ok(Self {
            required: true,
            authorities,
            revocation_lists: Vec::new(),
            allow_expired_crls: false,
            lists: Vec::new(),
            authorities_name: name.to_owned(),
            list_names: Vec::new(),
        })
    }

    fn add_lists(&mut self, lists: &[u8], name: &str) -> Result<(), Error> {
        for (der, number) in pem::revocation_lists(lists, name)?.into_iter().zip(1..) {
            let name = format!("{name}, list {number}");
            let list = RevocationList::from_der(&der).map_err(|error| error.at(&name))?;
            self.lists.push(list);
            self.list_names.push(name);
            self.revocation_lists.push(der);
        }
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

    #[cfg(any(feature = "rustls", feature = "openssl"))]
    #[test]
    fn different_policies_have_different_descriptions() {
        use std::collections::HashSet;

        let authority = || {
            let made = rcgen::generate_simple_self_signed([]).expect("a certificate");
            made.cert.pem()
        };
        let (one, two) = (authority(), authority());
        let auth = |pem: String| ClientAuth::from_pem(pem).expect("an authority");
        let mut listed = auth(one.clone());
        listed.revocation_lists.push(listed.authorities[0].clone());
        let policies = [
            auth(one.clone()),
            auth(one.clone()).optional(),
            auth(one.clone()).allow_expired_crls(),
            auth(two.clone()),
            auth(one.clone() + &two),
            listed,
        ];
        let described: HashSet<_> = policies.iter().map(ClientAuth::describe).collect();
        assert_eq!(described.len(), policies.len());
        assert_eq!(auth(one.clone()).describe(), auth(one).describe());
    }

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
        let made = rcgen::generate_simple_self_signed([]).expect("a certificate");
        let certificate = made.cert.pem();
        let auth = ClientAuth::from_pem(certificate.clone()).expect("an authority");
        let said = refusal(auth.clone().crl_pem(&certificate));
        assert!(
            said.contains("X509 CRL") && said.contains("it contains a certificate"),
            "{said}"
        );
        let said = refusal(auth.clone().crl_pem_file("/nonexistent/ca.crl"));
        assert!(said.contains("/nonexistent/ca.crl"), "{said}");
        let nonsense = |label| {
            format!("{certificate}-----BEGIN {label}-----\nbm9uc2Vuc2U=\n-----END {label}-----\n")
        };
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, nonsense("CERTIFICATE")).expect("written");
        let said = refusal(ClientAuth::from_pem_file(&file));
        let place = format!("{}, certificate 2: ", file.display());
        assert!(said.starts_with(&place) && said.contains("X.509"), "{said}");
        std::fs::write(&file, nonsense("X509 CRL")).expect("written");
        let said = refusal(auth.crl_pem_file(&file));
        let place = format!("{}, list 1: ", file.display());
        assert!(said.starts_with(&place) && said.contains("X.509"), "{said}");
    }
}
