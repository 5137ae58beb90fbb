//! Options of client certificates.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use corelane::{Error, tls::ClientAuth};

#[derive(Debug, Args)]
#[command(next_help_heading = "Client certificates")]
pub(crate) struct ClientCertificateArgs {
    /// Request client certificates that these authorities issued, PEM.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Whether clients need a certificate. [default: required]
    #[arg(long, value_enum, requires = "client_ca")]
    client_auth: Option<ClientAuthArg>,

    /// Revocation lists of all these authorities, PEM. The server refuses clients that a list
    /// revokes, and clients of an authority without a valid list.
    #[arg(long, value_name = "FILE", requires = "client_ca")]
    client_crl: Option<PathBuf>,

    /// How to treat the clients of an authority whose revocation list has expired. [default: reject]
    #[arg(long, value_enum, requires = "client_crl")]
    client_crl_expired: Option<ExpiredArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExpiredArg {
    /// Refuse all of them.
    Reject,
    /// Use the expired list, and warn.
    Allow,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClientAuthArg {
    /// Refuse clients without a certificate.
    Required,
    /// Serve clients without a certificate too.
    Optional,
}

impl ClientCertificateArgs {
    /// curl's options for a server whose certificate it does not trust.
    #[cfg_attr(
        not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
        expect(dead_code, reason = "there is no TLS to try")
    )]
    pub(crate) fn curl_options(&self) -> &'static str {
        match (&self.client_ca, self.client_auth) {
            (None, _) | (_, Some(ClientAuthArg::Optional)) => "-k",
            _ => "-k --cert CLIENT.pem --key CLIENT-KEY.pem",
        }
    }

    /// The file of revocation lists.
    pub(crate) fn list_file(&self) -> Option<&Path> {
        self.client_crl.as_deref()
    }

    /// Authorities and revocation lists.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.client_ca, &self.client_crl];
        files.into_iter().flatten().map(PathBuf::as_path)
    }

    /// Whether an expired list is used.
    pub(crate) fn allow_expired(&self) -> bool {
        matches!(self.client_crl_expired, Some(ExpiredArg::Allow))
    }

    pub(crate) fn are_given(&self) -> bool {
        self.client_ca.is_some()
    }

    /// Reads the files.
    #[cfg_attr(
        not(any(feature = "rustls", feature = "native-tls", feature = "openssl")),
        expect(dead_code, reason = "there is no TLS to configure")
    )]
    pub(crate) fn client_auth(&self) -> Result<Option<ClientAuth>, Error> {
        let Some(authorities) = &self.client_ca else {
            return Ok(None);
        };
        let mut auth = ClientAuth::from_pem_file(authorities)?;
        if let Some(lists) = &self.client_crl {
            auth = auth.crl_pem_file(lists)?;
        }
        if self.allow_expired() {
            auth = auth.allow_expired_crls();
        }
        Ok(Some(match self.client_auth {
            None | Some(ClientAuthArg::Required) => auth,
            Some(ClientAuthArg::Optional) => auth.optional(),
        }))
    }
}
