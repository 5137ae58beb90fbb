//! The certificate chain and the private key of a server, in PEM or PKCS#12.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    certificate::Certificate,
    dns_name::DnsName,
    ocsp::OcspResponse,
    pem::{self, PrivateKey},
    pkcs12,
    secret::Secret,
    warnings,
};
use crate::{
    error::{Error, Kind},
    file::read_file,
};

/// The certificate chain and the private key of a server.
///
/// In PEM the chain begins with the server's own certificate. The key is PKCS#8 (`BEGIN PRIVATE KEY`),
/// SEC1 (`BEGIN EC PRIVATE KEY`) or PKCS#1 (`BEGIN RSA PRIVATE KEY`), not encrypted. Not every backend
/// takes PKCS#12: see `features.md`.
///
/// Two identities are equal if their bytes, names and OCSP responses are, even if they come from different files. The
/// TLS library parses them when an acceptor is built.
#[derive(Clone)]
pub struct Identity {
    pub(crate) source: Source,
    /// Replaces the names of the certificate.
    names: Option<Vec<DnsName>>,
    /// It is about the certificate in `source`.
    pub(super) ocsp_response: Option<OcspResponse>,
    /// The file that the certificate came from.
    pub(super) file: Option<PathBuf>,
    /// The file that its key came from, unless it is the same.
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The chain is in DER and has at least one certificate.
    Pem {
        chain: Vec<Vec<u8>>,
        key: PrivateKey,
    },
    Pkcs12 {
        der: Secret<Vec<u8>>,
        password: Secret<String>,
    },
}

impl Identity {
    /// Takes PEM from memory.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if `chain` has no certificate, or `key` has no private key or an encrypted
    /// one.
    pub fn from_pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::pem(chain.into(), key.into(), "the certificate", "the key")
    }

    /// Reads PEM files.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if a file cannot be read, and as for [`from_pem`](Self::from_pem).
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let identity = Self::pem(
            read(chain)?,
            read(key)?,
            &chain.display().to_string(),
            &key.display().to_string(),
        )?;
        Ok(Self {
            key_file: Some(key.to_owned()),
            ..identity.read_from(chain)
        })
    }

    /// Takes PKCS#12 (`.p12`, `.pfx`) from memory.
    pub fn from_pkcs12(der: impl Into<Vec<u8>>, password: impl Into<String>) -> Self {
        Self::new(Source::Pkcs12 {
            der: Secret::new(der.into()),
            password: Secret::new(password.into()),
        })
    }

    /// Reads a PKCS#12 file.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the file cannot be read.
    pub fn from_pkcs12_file(
        file: impl AsRef<Path>,
        password: impl Into<String>,
    ) -> Result<Self, Error> {
        let file = file.as_ref();
        Ok(Self::from_pkcs12(read(file)?, password).read_from(file))
    }

    /// Replaces the names of the certificate by these: a
    /// [`ServerNameAcceptor`](super::ServerNameAcceptor) then serves the identity for them. A name is a
    /// host name in ASCII, or one with `*` as its first label.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if a name is neither.
    pub fn with_names<N: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, Error> {
        let names = names.into_iter().map(|name| DnsName::parse(name.as_ref()));
        self.names = Some(names.collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// The names of [`with_names`](Self::with_names), or the dNSNames of the certificate's
    /// subjectAltName (RFC 5280 section 4.2.1.6) that are host names or have `*` as their first label.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the certificate cannot be parsed, [`Error::is_unsupported`] if it is
    /// PKCS#12 and this build cannot read that.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let (names, _) = self.dns_names()?;
        Ok(names.iter().map(DnsName::to_string).collect())
    }

    /// The end of the certificate's validity, inclusive (RFC 5280 section 4.1.2.5).
    ///
    /// # Errors
    ///
    /// As for [`names`](Self::names).
    pub fn not_after(&self) -> Result<SystemTime, Error> {
        Ok(self.certificate()?.not_after)
    }

    /// What clients may refuse, one sentence each: for example that there is no subjectAltName, an
    /// intermediate that has expired, or a kind of key that browsers do not accept. Every backend serves
    /// such a certificate; the end of its own validity is not among them, see
    /// [`not_after`](Self::not_after). An OCSP response that is not valid now, and is therefore not sent,
    /// is among them.
    ///
    /// # Errors
    ///
    /// As for [`names`](Self::names), and if another certificate of the chain cannot be parsed.
    pub fn warnings(&self) -> Result<Vec<String>, Error> {
        Ok(warnings::of(
            &self.chain()?,
            self.ocsp_response(),
            SystemTime::now(),
        ))
    }

    /// The certificates of the chain; of PKCS#12 the first one only.
    pub(super) fn chain(&self) -> Result<Vec<Certificate>, Error> {
        let Source::Pem { chain, .. } = &self.source else {
            return Ok(vec![self.certificate()?]);
        };
        let certificates = chain.iter().zip(1..).map(|(der, number)| {
            Certificate::from_der(der).map_err(|error| match number {
                1 => error,
                _ => error.at(&format!("certificate {number} of the chain")),
            })
        });
        certificates.collect()
    }

    /// The server's own certificate.
    pub(super) fn certificate(&self) -> Result<Certificate, Error> {
        match &self.source {
            Source::Pem { chain, .. } => {
                let leaf = chain.first().map_or(&[][..], Vec::as_slice);
                Certificate::from_der(leaf)
            }
            Source::Pkcs12 { der, password } => {
                Certificate::from_der(&pkcs12::certificate(der, password)?)
            }
        }
    }

    /// The server names, and an error for each name of the certificate that is not one.
    pub(super) fn dns_names(&self) -> Result<(Vec<DnsName>, Vec<Error>), Error> {
        if let Some(names) = &self.names {
            return Ok((names.clone(), Vec::new()));
        }
        let (mut names, mut others) = (Vec::new(), Vec::new());
        for name in self.certificate()?.dns_names {
            match DnsName::parse(&name) {
                Ok(name) if names.contains(&name) => {}
                Ok(name) => names.push(name),
                Err(why) => others.push(why),
            }
        }
        Ok((names, others))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            names: None,
            ocsp_response: None,
            file: None,
            key_file: None,
        }
    }

    fn read_from(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    fn pem(chain: Vec<u8>, key: Vec<u8>, chain_name: &str, key_name: &str) -> Result<Self, Error> {
        let key = Secret::new(key);
        Ok(Self::new(Source::Pem {
            chain: pem::certificates(&chain, chain_name)?,
            key: pem::private_key(key.expose(), key_name)?,
        }))
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
            && self.names == other.names
            && self.ocsp_response == other.ocsp_response
    }
}

impl Eq for Identity {}

/// Never shows the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Pem { .. } => "Identity(PEM)",
            Source::Pkcs12 { .. } => "Identity(PKCS#12)",
        })
    }
}

/// Reads a PEM file of certificates, and writes them so that every TLS library reads them alike. For the
/// prober of the command.
#[doc(hidden)]
pub fn read_certificates(file: impl AsRef<Path>) -> Result<String, Error> {
    let file = file.as_ref();
    let name = file.display().to_string();
    let chain = pem::certificates(&read(file)?, &name)?;
    for (der, number) in chain.iter().zip(1..) {
        Certificate::from_der(der)
            .map_err(|error| error.at(&format!("{name}, certificate {number}")))?;
    }
    Ok(chain
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    // Its text could be a secret, so no message may name it.
    if is_content(&path.to_string_lossy()) {
        return Err(Error::config(
            "a file name is wanted, this is the content of a file: write it to a file and name the file",
        ));
    }
    read_file(path).map_err(|error| {
        Error::new(Kind::Config, format!("cannot read {}", path.display())).with_source(error)
    })
}

/// Whether a text is PEM or a ticket key, as in an environment variable that holds the secret itself.
fn is_content(text: &str) -> bool {
    /// Hexadecimal digits of a ticket key.
    const TICKET_KEY: usize = 64;
    let is_hexadecimal = || text.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.contains("-----BEGIN ") || text.len() >= TICKET_KEY && is_hexadecimal()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

    fn refusal(chain: &str, key: &str) -> String {
        let error = Identity::from_pem(chain, key).expect_err("refused");
        assert!(error.is_config());
        error.to_string()
    }

    #[test]
    fn wrong_pem_is_explained() {
        let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        assert!(Identity::from_pem(CERTIFICATE, key).is_ok());
        assert!(refusal(key, CERTIFICATE).contains("the certificate contains no"));
        assert!(refusal(CERTIFICATE, CERTIFICATE).contains("it contains a certificate"));
        assert!(refusal(CERTIFICATE, "\u{30}\u{82}").contains("it is DER"));
        for encrypted in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n\
             -----END EC PRIVATE KEY-----\n",
        ] {
            assert!(refusal(CERTIFICATE, encrypted).contains("openssl pkey"));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Identity::from_pem_files("/nonexistent/cert.pem", "/nonexistent/key.pem");
        let message = error.expect_err("no such file").to_string();
        assert!(message.contains("/nonexistent/cert.pem"), "{message}");
    }

    #[test]
    fn the_content_of_a_file_in_place_of_its_name_is_not_printed() {
        let ticket_key = "0123456789abcdef".repeat(4);
        for content in ["-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n", &ticket_key] {
            let error = Identity::from_pem_files(content, content).expect_err("no file name");
            let message = format!("{error} {error:?}");
            assert!(message.contains("the content of a file"), "{message}");
            assert!(
                !message.contains(content) && !message.contains("c2VjcmV0"),
                "{message}"
            );
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let identity = Identity::from_pkcs12(vec![1, 2, 3], "hunter2");
        assert_eq!(format!("{identity:?}"), "Identity(PKCS#12)");
    }

    #[test]
    fn names_are_those_given_or_those_of_the_certificate() {
        let names = ["a.test", "*.A.test", "a.test.", "not a name"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = made.signing_key.serialize_pem();
        let identity = Identity::from_pem(made.cert.pem(), key).expect("PEM");
        assert_eq!(identity.names().expect("readable"), ["a.test", "*.a.test"]);
        let renamed = identity.clone().with_names(["B.test"]).expect("a name");
        assert_eq!(renamed.names().expect("given"), ["b.test"]);
        assert!(renamed != identity && identity == identity.clone());
        let error = identity.with_names(["a.*"]).expect_err("no name");
        assert!(error.is_config(), "{error}");
    }
}
