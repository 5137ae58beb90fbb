//! Options of certificates.

#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
use std::sync::OnceLock;
use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
use corelane::{
    Error,
    tls::{Identity, UnknownName},
};

#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
use crate::self_signed::SelfSigned;

/// In place of the file of an OCSP response.
const NO_RESPONSE: &str = "none";

#[derive(Debug, Args)]
pub(crate) struct CertificateArgs {
    /// Certificate chain, PEM; repeatable, each with its --key. Clients get the certificate for the
    /// server name that they send (SNI). [default: a self-signed one for localhost, in memory]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Vec<PathBuf>,

    /// Private key, PEM: PKCS#8, SEC1 or PKCS#1; one for each --cert, in the same order.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Vec<PathBuf>,

    /// OCSP response of a certificate, DER or PEM, for clients that ask for it (stapling); one for each
    /// --cert, in the same order, or none for a certificate without. Not with native-tls.
    #[arg(long, value_name = "FILE|none", requires = "cert")]
    ocsp: Vec<PathBuf>,

    /// Write the self-signed certificate (not its key) to this file, so that clients can trust it.
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    write_cert: Option<PathBuf>,

    /// How to treat clients that send a server name without a --cert.
    #[arg(long, value_enum, default_value = "default")]
    unknown_name: UnknownNameArg,

    /// Check the files of --cert, --key, --ocsp, --client-ca, --client-crl and --ticket-keys at this
    /// interval, and reload when they have changed. [default: reload only on SIGHUP]
    #[arg(long, value_name = "SECONDS", requires = "cert")]
    reload_certs: Option<NonZeroU64>,

    /// Check that files can be written instead of writing them.
    #[arg(skip)]
    #[cfg_attr(
        not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
        expect(dead_code, reason = "there is no certificate to write")
    )]
    check_only: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnknownNameArg {
    /// Send the first --cert.
    Default,
    /// Refuse with the alert unrecognized_name.
    Refuse,
}

impl CertificateArgs {
    /// Whether an option names a certificate.
    pub(crate) fn are_given(&self) -> bool {
        !self.cert.is_empty() || self.write_cert.is_some()
    }

    /// The same options for a check that writes no file.
    pub(crate) fn check_only(self) -> Self {
        Self {
            check_only: true,
            ..self
        }
    }

    #[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
    pub(crate) fn are_only_checked(&self) -> bool {
        self.check_only
    }

    /// Whether clients that ask for an unknown name are refused.
    pub(crate) fn refuse_unknown_names(&self) -> bool {
        matches!(self.unknown_name, UnknownNameArg::Refuse)
    }

    /// Whether there are files to reload.
    pub(crate) fn are_files(&self) -> bool {
        !self.cert.is_empty()
    }

    /// The certificate files, in their order.
    pub(crate) fn cert_files(&self) -> impl Iterator<Item = &Path> {
        self.cert.iter().map(PathBuf::as_path)
    }

    /// The file of the OCSP response of each certificate that has one, and the position of that one.
    pub(crate) fn ocsp_files(&self) -> impl Iterator<Item = (usize, &Path)> {
        let files = self.ocsp.iter().map(PathBuf::as_path).enumerate();
        files.filter(|(_, file)| *file != Path::new(NO_RESPONSE))
    }

    /// Certificate, key and OCSP response files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.cert.iter().chain(&self.key).map(PathBuf::as_path);
        pairs.chain(self.ocsp_files().map(|(_, file)| file))
    }

    pub(crate) fn reload_interval(&self) -> Option<Duration> {
        self.reload_certs
            .map(|seconds| Duration::from_secs(seconds.get()))
    }
}

#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
impl CertificateArgs {
    /// Reads the files. Empty where there are none.
    pub(crate) fn read(&self) -> Result<Vec<Identity>, Error> {
        let (certs, keys) = (self.cert.len(), self.key.len());
        if certs != keys {
            return Err(Error::config(format!(
                "{certs} --cert and {keys} --key: give one --key for each --cert, in the same order"
            )));
        }
        let responses = self.ocsp.len();
        if ![0, certs].contains(&responses) {
            return Err(Error::config(format!(
                "{certs} --cert and {responses} --ocsp: give one --ocsp for each --cert, in the same \
                 order, or {NO_RESPONSE} for a certificate without"
            )));
        }
        let pairs = self.cert.iter().zip(&self.key);
        let identities = pairs.map(|(cert, key)| Identity::from_pem_files(cert, key));
        let mut identities: Vec<_> = identities.collect::<Result<_, _>>()?;
        for (at, file) in self.ocsp_files() {
            identities[at] = identities[at].clone().with_ocsp_response_file(file)?;
        }
        Ok(identities)
    }

    pub(crate) fn unknown_name(&self) -> UnknownName {
        match self.unknown_name {
            UnknownNameArg::Default => UnknownName::UseDefault,
            UnknownNameArg::Refuse => UnknownName::Refuse,
        }
    }

    /// Describes the certificates for people.
    pub(crate) fn describe(&self) -> String {
        let files: Vec<_> = self.cert.iter().map(|file| file.display()).collect();
        match &files[..] {
            [one] => format!("certificate {one}"),
            several => {
                let several: Vec<_> = several.iter().map(ToString::to_string).collect();
                format!("certificates {}", several.join(", "))
            }
        }
    }

    /// The self-signed certificate of this process, the same after a reload, and its description.
    pub(crate) fn self_signed(&self) -> Result<(Identity, String), Error> {
        static MADE: OnceLock<SelfSigned> = OnceLock::new();
        let made = match MADE.get() {
            Some(made) => made,
            None => {
                let made = crate::self_signed::make()?;
                MADE.get_or_init(|| made)
            }
        };
        let mut text = String::from("self-signed certificate for localhost, made in memory");
        if let Some(file) = &self.write_cert {
            let written = match self.check_only {
                true => corelane_ops::check_writable(file),
                false => corelane_ops::write_file(file, &made.certificate),
            };
            written.map_err(|error| {
                Error::config(format!("cannot write {}: {error}", file.display()))
            })?;
            text = format!("{text}, written to {}", file.display());
        }
        let identity = Identity::from_pem(made.certificate.clone(), made.key.clone())?;
        Ok((identity, text))
    }

    /// Warns of what clients may refuse, and of keys that others can read.
    pub(crate) fn warn(&self, identities: &[Identity]) {
        for ((cert, key), identity) in self.cert.iter().zip(&self.key).zip(identities) {
            // An error has ended the load.
            for warning in identity.warnings().unwrap_or_default() {
                tracing::warn!(file = %cert.display(), "{warning}");
            }
            if readable_by_others(key) {
                let file = key.display();
                tracing::warn!(
                    "all users of this machine can read the private key {file}: run `chmod o= {file}`"
                );
            }
        }
    }
}

#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
fn readable_by_others(file: &Path) -> bool {
    cfg_if::cfg_if! {
        if #[cfg(unix)] {
            use std::os::unix::fs::PermissionsExt;
            // Readable by a group is fine: Kubernetes gives the files of a secret a group.
            std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
        } else {
            let _ = file;
            false
        }
    }
}
