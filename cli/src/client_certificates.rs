//! Options of client certificates.

use std::path::PathBuf;

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
        not(any(feature = "rustls", feature = "native-tls")),
        expect(dead_code, reason = "there is no TLS to try")
    )]
    pub(crate) fn curl_options(&self) -> &'static str {
        match (&self.client_ca, self.client_auth) {
            (None, _) | (_, Some(ClientAuthArg::Optional)) => "-k",
            _ => "-k --cert CLIENT.pem --key CLIENT-KEY.pem",
        }
    }

    /// Logs how long the revocation lists are valid.
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub(crate) fn log_state(&self, auth: &ClientAuth) {
        let (Some(lists), Some(end)) = (&self.client_crl, auth.crl_next_update()) else {
            return;
        };
        let (file, ends) = (lists.display(), crate::certificates::date(end));
        if end < std::time::SystemTime::now() {
            tracing::warn!(
                %file, %ends,
                "a revocation list has expired, so clients of its authority are refused: renew it"
            );
        } else {
            tracing::info!(%file, %ends, "revocation lists");
        }
    }

    pub(crate) fn are_given(&self) -> bool {
        self.client_ca.is_some()
    }

    /// Reads the files.
    #[cfg_attr(
        not(any(feature = "rustls", feature = "native-tls")),
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
        Ok(Some(match self.client_auth {
            None | Some(ClientAuthArg::Required) => auth,
            Some(ClientAuthArg::Optional) => auth.optional(),
        }))
    }
}
