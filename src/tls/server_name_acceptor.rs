//! Several identities behind one address. The ClientHello selects one, for every backend by the same
//! rule.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{
    client_hello::ClientHello,
    dns_name::{DnsName, MAX_NAME, normal},
    identity::Identity,
    key_kind::{KeyCompatibility, KeyKind},
    session::{Client, Start, TlsAcceptor},
};
use crate::{alert::AlertDescription, alpn::ProtocolName, error::Error, negotiated::CipherSuite};

/// Selects the certificate by the server name that the client sends in SNI (RFC 6066 section 3). It
/// contains several acceptors of one backend, each made from one [`Identity`].
///
/// ```no_run
/// use corelane::tls::{Identity, ServerNameAcceptor, TlsConfig, UnknownName};
/// # #[cfg(feature = "rustls")]
/// use corelane::tls::RustlsAcceptor;
///
/// # #[cfg(feature = "rustls")]
/// # fn main() -> Result<(), corelane::Error> {
/// let first = Identity::from_pem_files("a.pem", "a-key.pem")?;
/// let second = Identity::from_pem_files("b.pem", "b-key.pem")?;
/// let acceptor = |identity: &Identity| RustlsAcceptor::new(&TlsConfig::new(identity.clone()));
/// let acceptor = ServerNameAcceptor::new(&first, acceptor(&first)?)?
///     .add(&second, acceptor(&second)?)?
///     .unknown_name(UnknownName::Refuse);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "rustls"))]
/// # fn main() {}
/// ```
///
/// [`Identity::names`] are the names of an identity. An exact name comes before a wildcard. A
/// wildcard matches one label: `*.a.test` matches `www.a.test`, but not `a.test` or `x.www.a.test`
/// (RFC 9525 section 6.3). Case and a final dot are ignored. Internationalized names are compared in
/// their form in DNS, `xn--...`.
///
/// A name may have one identity with an ECDSA key, one with an EdDSA key and one with an RSA key. The
/// client gets the first of these whose signatures it can verify: by its signature_algorithms, and
/// under TLS 1.2 by its supported_groups and by those of its cipher suites which the acceptor of the
/// identity has ([`TlsAcceptor::cipher_suites`]) too.
///
/// A request may name another host than the connection it arrives on. If identities differ in their
/// access rules, for example in [`TlsConfig::client_auth`](super::TlsConfig::client_auth), the
/// handler has to compare the authority of a request with the server name of its connection, and
/// answer 421 if they differ (RFC 9110 section 15.5.20).
///
/// The first identity is the default. It answers clients that send no server name; [`UnknownName`]
/// decides about clients that send an unknown one. If other identities have the first name of the
/// default identity and another kind of key, the client gets the best of these for it.
#[derive(Clone)]
pub struct ServerNameAcceptor {
    /// In the order of `new` and `add`. Never empty: `new` adds the first.
    served: Vec<Served>,
    /// The indices in `served` for each name, in order of preference.
    exact: HashMap<String, Vec<usize>>,
    /// The same for wildcards, by the name after `*.`.
    wildcards: HashMap<String, Vec<usize>>,
    unknown_name: UnknownName,
}

/// How the server answers clients that send a server name which no identity has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownName {
    /// With the default identity; the client decides whether to accept it. The default.
    #[default]
    UseDefault,
    /// With the alert `unrecognized_name` (112, RFC 6066 section 3).
    Refuse,
}

#[derive(Clone)]
struct Served {
    acceptor: Arc<dyn TlsAcceptor>,
    /// `None` if the acceptor cannot tell.
    cipher_suites: Option<Vec<CipherSuite>>,
    key: KeyKind,
    names: Vec<DnsName>,
    /// Names the identity in errors and logs.
    label: String,
}

impl ServerNameAcceptor {
    /// Starts with the default identity and an acceptor made from it.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read, or the acceptor does not speak TLS
    /// ([`Error::is_config`]).
    pub fn new(identity: &Identity, acceptor: impl TlsAcceptor) -> Result<Self, Error> {
        let mut this = Self {
            served: Vec::new(),
            exact: HashMap::new(),
            wildcards: HashMap::new(),
            unknown_name: UnknownName::default(),
        };
        this.insert(identity, Arc::new(acceptor))?;
        Ok(this)
    }

    /// Adds an identity with an acceptor made from it.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read or has no name, when another identity has the same name
    /// and kind of key, or when the acceptor has another backend than the first
    /// ([`Error::is_config`]).
    pub fn add(mut self, identity: &Identity, acceptor: impl TlsAcceptor) -> Result<Self, Error> {
        self.insert(identity, Arc::new(acceptor))?;
        Ok(self)
    }

    /// How the server answers an unknown name. Default [`UnknownName::UseDefault`].
    pub fn unknown_name(mut self, unknown_name: UnknownName) -> Self {
        self.unknown_name = unknown_name;
        self
    }

    fn insert(&mut self, identity: &Identity, acceptor: Arc<dyn TlsAcceptor>) -> Result<(), Error> {
        let index = self.served.len();
        let mut label = format!("identity {}", index + 1);
        if let Some(file) = &identity.file {
            label = format!("{label} ({})", file.display());
        }
        if !acceptor.expects_client_hello() {
            return Err(Error::config(format!(
                "{label}: the backend {} has no TLS, so clients send it no server name",
                acceptor.backend()
            )));
        }
        let (names, others) = identity.dns_names()?;
        for why in others {
            tracing::warn!(%label, %why, "a name in a certificate is ignored");
        }
        let served = Served {
            cipher_suites: acceptor.cipher_suites(),
            key: identity.certificate()?.key.kind,
            names,
            acceptor,
            label,
        };
        if let Some(first) = self.served.first() {
            first.check_beside(&served)?;
        }
        self.served.push(served);
        let served = &self.served;
        let family = |index: usize| served[index].key.family();
        for name in &served[index].names {
            let (of_its_kind, name) = match name {
                DnsName::Exact(name) => (&mut self.exact, name),
                DnsName::Wildcard(rest) => (&mut self.wildcards, rest),
            };
            let others = of_its_kind.entry(name.clone()).or_default();
            let place = others.partition_point(|&other| family(other) < family(index));
            match others.get(place) {
                Some(&other) if family(other) == family(index) => {
                    return Err(served[other].conflict_with(&served[index]));
                }
                _ => others.insert(place, index),
            }
        }
        Ok(())
    }

    /// The identity that answers this client.
    fn choose(&self, client: Option<&ClientHello>) -> Result<&Served, Error> {
        let asked = client.and_then(|client| client.server_name.as_deref());
        let (exact, wildcards) = self.candidates(asked)?;
        let mut best: Option<(KeyCompatibility, &Served)> = None;
        for &index in exact.iter().chain(wildcards) {
            let served = &self.served[index];
            let compatibility = client.map_or(KeyCompatibility::Yes, |client| {
                served
                    .key
                    .compatibility(client, served.cipher_suites.as_deref())
            });
            if best.is_none_or(|(so_far, _)| compatibility > so_far) {
                best = Some((compatibility, served));
            }
            if compatibility == KeyCompatibility::Yes {
                break;
            }
        }
        Ok(best.map_or(&self.served[0], |(_, served)| served))
    }

    /// The identities with this name, and those with a wildcard that matches it.
    fn candidates(&self, asked: Option<&str>) -> Result<(&[usize], &[usize]), Error> {
        let Some(asked) = asked else {
            return Ok((self.default_identities(), &[]));
        };
        let name = normal(asked);
        let exact = self.exact.get(&*name).map_or(&[][..], Vec::as_slice);
        let wildcards = match name.split_once('.') {
            Some((label, rest)) if !label.is_empty() => self.wildcards.get(rest),
            _ => None,
        };
        let wildcards = wildcards.map_or(&[][..], Vec::as_slice);
        if !exact.is_empty() || !wildcards.is_empty() {
            return Ok((exact, wildcards));
        }
        match self.unknown_name {
            UnknownName::UseDefault => Ok((self.default_identities(), &[])),
            UnknownName::Refuse => Err(Error::refused(
                AlertDescription::UnrecognizedName,
                format!(
                    "no identity has the server name {:?} that the client sent",
                    // Always ASCII, and longer only if it is no valid name.
                    &asked[..asked.len().min(MAX_NAME)]
                ),
            )),
        }
    }

    fn default_identities(&self) -> &[usize] {
        let of_its_name = match self.served[0].names.first() {
            Some(DnsName::Exact(name)) => self.exact.get(name),
            Some(DnsName::Wildcard(rest)) => self.wildcards.get(rest),
            None => None,
        };
        of_its_name.map_or(&[0], Vec::as_slice)
    }
}

impl Served {
    /// Checks that another identity can be served beside this one, the first.
    fn check_beside(&self, other: &Self) -> Result<(), Error> {
        let label = &other.label;
        let (backend, wanted) = (other.acceptor.backend(), self.acceptor.backend());
        if backend != wanted {
            return Err(Error::config(format!(
                "{label} has the backend {backend}, and {} has {wanted}: use one backend for all",
                self.label
            )));
        }
        if other.names.is_empty() {
            return Err(Error::config(format!(
                "the certificate of {label} has no dNSName, so no client would get it: set its \
                 names with Identity::with_names, or make it the first identity, the default"
            )));
        }
        Ok(())
    }

    fn conflict_with(&self, other: &Self) -> Error {
        let mut both = self.names.iter().filter(|name| other.names.contains(name));
        Error::config(format!(
            "{} and {} both have the name {} and {} keys: remove one of them",
            self.label,
            other.label,
            both.next().map_or_else(String::new, DnsName::to_string),
            self.key.family().name()
        ))
    }
}

impl TlsAcceptor for ServerNameAcceptor {
    fn backend(&self) -> &'static str {
        self.served[0].acceptor.backend()
    }

    /// What all acceptors begin with: the rest of a list counts for one of them only.
    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        let lists = self.served.iter().map(|one| one.acceptor.alpn_protocols());
        lists.flatten().reduce(|common, list| {
            let alike = common
                .iter()
                .zip(&list)
                .take_while(|(one, other)| one == other);
            alike.map(|(name, _)| name.clone()).collect()
        })
    }

    fn check(&self) -> Result<(), Error> {
        self.served.iter().try_for_each(|one| one.acceptor.check())
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        self.choose(client.client_hello)?.acceptor.start(client)
    }
}

impl fmt::Debug for ServerNameAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.served.iter().map(|one| (&one.label, &one.names));
        f.debug_map().entries(served).finish()
    }
}
