//! What to offer to a server, and how.

use std::{fmt, time::Duration};

use super::{client::Client, error::Error, expectation::Expectation, offer::Offer};

/// How long one connection may take by default, from the SYN to the answer of the GET.
///
/// A handshake and a GET are three to five round trips: one or two seconds on the slowest of links
/// and with a server under load. A CI job waits for a server that never answers no longer than
/// this, once.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// What to offer to a server, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeOptions {
    /// The offers, in this order. Default: [`Offer::defaults`].
    pub offers: Vec<Offer>,
    /// The clients that make them. Default: [`Client::compiled_in`].
    pub clients: Vec<Client>,
    /// How long each connection may take. Default: [`TIMEOUT`]. Once a server has let it pass, later offers
    /// wait a twentieth of it, or twice as long as the slowest answer took if that is longer.
    pub timeout: Duration,
    /// Which certificates are trusted. Default: [`Trust::System`].
    pub trust: Trust,
    /// The certificate to send to a server that asks for one. Default: none. [`Client::Raw`] sends none.
    pub client_certificate: Option<ClientCertificate>,
}

/// A client certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM: the certificate, then those that issued it.
    pub(crate) chain: Vec<u8>,
    /// PEM, from the line that begins it.
    pub(crate) key: Vec<u8>,
}

impl ClientCertificate {
    /// A certificate, followed by those that issued it, and its key, both PEM. native-tls takes the key as
    /// PKCS#8 only (`BEGIN PRIVATE KEY`).
    pub fn new(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self {
            chain: chain.into(),
            key: key.into(),
        }
    }
}

/// Without the key.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            offers: Offer::defaults(),
            clients: Client::compiled_in(),
            timeout: TIMEOUT,
            trust: Trust::System,
            client_certificate: None,
        }
    }
}

impl ProbeOptions {
    /// Sets the offers.
    #[must_use]
    pub fn offers(mut self, offers: impl IntoIterator<Item = Offer>) -> Self {
        self.offers = offers.into_iter().collect();
        self
    }

    /// Sets the clients that make the offers.
    #[must_use]
    pub fn clients(mut self, clients: impl IntoIterator<Item = Client>) -> Self {
        self.clients = clients.into_iter().collect();
        self
    }

    /// Sets how long each connection may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets which certificates are trusted.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the certificate to send to a server that asks for one.
    #[must_use]
    pub fn client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.client_certificate = Some(certificate);
        self
    }

    /// Adds the offers that the rules are about and that are not among the offers yet.
    ///
    /// # Errors
    ///
    /// Two of the rules contradict each other: no answer can meet both.
    pub fn add_offers_of(&mut self, rules: &[Expectation]) -> Result<(), Error> {
        for (index, rule) in rules.iter().enumerate() {
            if let Some(other) = rules[..index].iter().find(|other| rule.contradicts(other)) {
                return Err(Error::config(format!(
                    "the rules {other} and {rule} contradict each other"
                )));
            }
        }
        for offer in rules.iter().filter_map(Expectation::offer) {
            if !self.offers.contains(&offer) {
                self.offers.push(offer);
            }
        }
        Ok(())
    }
}

/// Which server certificates are trusted. [`Client::Raw`] ends before there is a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Certificates that the system trusts.
    #[default]
    System,
    /// These certificates, PEM, and those that they have issued; none of the system's.
    Pem(Vec<u8>),
    /// Any certificate. The prober sends nothing secret, and looks at how the server negotiates.
    Any,
}
