//! Client certificates, as the command line asks for them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use corelane::{Error, tls::ClientAuth};

#[derive(Debug, Args)]
#[command(next_help_heading = "Client certificates")]
pub(crate) struct ClientCertificateArgs {
    /// Ask clients for certificates that go back to these authorities, PEM.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Whether clients have to have one. [default: required]
    #[arg(long, value_enum, requires = "client_ca")]
    client_auth: Option<ClientAuthArg>,

    /// Revocation lists of all these authorities, PEM; who is on one, or on none in force, is
    /// refused.
    #[arg(long, value_name = "FILE", requires = "client_ca")]
    client_crl: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClientAuthArg {
    /// Refuse clients without one.
    Required,
    /// Serve them too.
    Optional,
}

impl ClientCertificateArgs {
    /// What curl needs beside the address, where it does not know the server's certificate.
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

    /// Says of the revocation lists how long they are in force.
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub(crate) fn look_at(&self, auth: &ClientAuth) {
        let (Some(lists), Some(end)) = (&self.client_crl, auth.crl_next_update()) else {
            return;
        };
        let (file, ends) = (lists.display(), crate::certificates::date(end));
        if end < std::time::SystemTime::now() {
            tracing::warn!(
                %file, %ends,
                "a revocation list has ended, clients of its authority are refused: renew it"
            );
        } else {
            tracing::info!(%file, %ends, "revocation lists");
        }
    }

    pub(crate) fn are_given(&self) -> bool {
        self.client_ca.is_some()
    }

    /// Reads the files anew each time.
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
