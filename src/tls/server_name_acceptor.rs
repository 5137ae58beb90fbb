//! Several identities behind one address: which of them answers is read from the ClientHello, and
//! is so the same for every backend.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{
    client_hello::ClientHello,
    dns_name::{DnsName, MAX_NAME, normal},
    identity::Identity,
    key_kind::{KeyCompatibility, KeyKind},
    session::{TlsAcceptor, TlsSession},
};
use crate::{alert::AlertDescription, alpn::ProtocolName, error::Error};

/// Starts each session by the acceptor of the name that the client asks for by SNI (RFC 6066
/// section 3). Holds several acceptors of one backend, each made from one [`Identity`].
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
/// The names of an identity are those of [`Identity::names`]. One that is the name asked for comes
/// before a wildcard, which stands for one label: `*.a.test` is for `www.a.test`, neither for
/// `a.test` nor for `x.www.a.test` (RFC 9525 section 6.3). Case does not matter, nor does a dot at
/// the end; names beyond ASCII are compared in the form that DNS has, `xn--...`.
///
/// For one name there may be an identity with an ECDSA key, one with an EdDSA key and one with an
/// RSA key. The client gets the first of these whose signatures it can verify: under TLS 1.3 its
/// signature_algorithms say so, under TLS 1.2 its cipher suites and supported_groups too.
///
/// What was negotiated is a matter of the connection, and a request on it may name any host: where
/// identities differ in whom they let in, by [`TlsConfig::client_auth`](super::TlsConfig::client_auth)
/// say, the handler has to compare the request's authority with the connection's server name and
/// answer 421 (RFC 9110 section 15.5.20).
///
/// Who asks for no name gets the default identity, the first; who asks for one that is not known
/// gets what [`UnknownName`] says. Where others are for the first name of the default identity by
/// another kind of key, the client gets the one of these that it can use best.
#[derive(Clone)]
pub struct ServerNameAcceptor {
    /// In the order in which they were added. Never empty: `new` adds the first.
    served: Vec<Served>,
    /// Which of `served` are for a name, in the order in which they are preferred.
    exact: HashMap<String, Vec<usize>>,
    /// The same by what follows `*.`.
    wildcards: HashMap<String, Vec<usize>>,
    unknown_name: UnknownName,
}

/// What becomes of clients that ask for a name which no identity is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownName {
    /// They get the default identity, and judge for themselves. The default.
    #[default]
    UseDefault,
    /// They are refused with the alert `unrecognized_name` (112, RFC 6066 section 3).
    Refuse,
}

#[derive(Clone)]
struct Served {
    acceptor: Arc<dyn TlsAcceptor>,
    key: KeyKind,
    names: Vec<DnsName>,
    /// For people: which one it is.
    label: String,
}

impl ServerNameAcceptor {
    /// With the default identity and an acceptor made from it. An error where the certificate
    /// cannot be read, or the acceptor does not speak TLS.
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

    /// One more identity with an acceptor made from it. An error where the certificate cannot be
    /// read, where it has no name, where another identity has the same name and kind of key, or
    /// where the acceptor is of another backend than the first.
    pub fn add(mut self, identity: &Identity, acceptor: impl TlsAcceptor) -> Result<Self, Error> {
        self.insert(identity, Arc::new(acceptor))?;
        Ok(self)
    }

    /// What becomes of clients that ask for an unknown name. Default [`UnknownName::UseDefault`].
    pub fn unknown_name(mut self, unknown_name: UnknownName) -> Self {
        self.unknown_name = unknown_name;
        self
    }

    fn insert(&mut self, identity: &Identity, acceptor: Arc<dyn TlsAcceptor>) -> Result<(), Error> {
        let index = self.served.len();
        let mut label = format!("identity {}", index + 1);
        if let Some(file) = identity.file() {
            label = format!("{label} ({})", file.display());
        }
        if !acceptor.expects_client_hello() {
            return Err(Error::config(format!(
                "{label}: the backend {} has no TLS, so clients ask it for no name",
                acceptor.backend()
            )));
        }
        let (names, others) = identity.dns_names()?;
        for why in others {
            tracing::warn!(%label, %why, "a name in a certificate is never served");
        }
        let served = Served {
            key: identity.certificate()?.key,
            names,
            acceptor,
            label,
        };
        if let Some(first) = self.served.first() {
            first.goes_with(&served)?;
        }
        for name in &served.names {
            let (of_its_kind, name) = match name {
                DnsName::Exact(name) => (&mut self.exact, name),
                DnsName::Wildcard(rest) => (&mut self.wildcards, rest),
            };
            let others = of_its_kind.entry(name.clone()).or_default();
            others.push(index);
        }
        self.served.push(served);
        self.in_order()
    }

    /// Puts those of one name in the order in which they are preferred; an error where two are of
    /// one kind.
    fn in_order(&mut self) -> Result<(), Error> {
        for group in self.exact.values_mut().chain(self.wildcards.values_mut()) {
            let family = |index: usize| self.served[index].key.family();
            group.sort_by_key(|&index| family(index));
            for pair in group.windows(2) {
                if family(pair[0]) == family(pair[1]) {
                    return Err(self.served[pair[0]].collides_with(&self.served[pair[1]]));
                }
            }
        }
        Ok(())
    }

    /// Which identity answers this client.
    fn choose(&self, client: Option<&ClientHello>) -> Result<&Served, Error> {
        let asked = client.and_then(|client| client.server_name.as_deref());
        let (exact, wildcards) = self.candidates(asked)?;
        let mut best: Option<(KeyCompatibility, &Served)> = None;
        for &index in exact.iter().chain(wildcards) {
            let served = &self.served[index];
            let fit = client.map_or(KeyCompatibility::Yes, |client| served.key.fits(client));
            if best.is_none_or(|(so_far, _)| fit > so_far) {
                best = Some((fit, served));
            }
            if fit == KeyCompatibility::Yes {
                break;
            }
        }
        Ok(best.map_or(&self.served[0], |(_, served)| served))
    }

    /// Those that are for this name itself, and those that are for it by a wildcard.
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
                    "the client asked for {:?}, which no identity here is for",
                    // ASCII, and longer only where it is no name.
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
    /// Whether another one can be served beside this one, the first.
    fn goes_with(&self, other: &Self) -> Result<(), Error> {
        let label = &other.label;
        let (backend, wanted) = (other.acceptor.backend(), self.acceptor.backend());
        if backend != wanted {
            return Err(Error::config(format!(
                "{label} is for the backend {backend}, {} for {wanted}: one server has one backend",
                self.label
            )));
        }
        if other.names.is_empty() {
            return Err(Error::config(format!(
                "the certificate of {label} has no dNSName, so nobody would ever get it: give \
                 Identity::with_names, or make it the first, the default"
            )));
        }
        Ok(())
    }

    fn collides_with(&self, other: &Self) -> Error {
        let mut both = self.names.iter().filter(|name| other.names.contains(name));
        Error::config(format!(
            "{} and {} are both for {} with {} keys: of each kind there can be one",
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

    /// Those of an acceptor that would not choose `h2`, if there is one.
    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        let lists = || self.served.iter().map(|one| one.acceptor.alpn_protocols());
        let not_h2 = |names: &Vec<ProtocolName>| names.first() != Some(&ProtocolName::H2);
        lists()
            .flatten()
            .find(not_h2)
            .or_else(|| lists().next().flatten())
    }

    fn start(&self, client_hello: Option<&ClientHello>) -> Result<Box<dyn TlsSession>, Error> {
        self.choose(client_hello)?.acceptor.start(client_hello)
    }
}

impl fmt::Debug for ServerNameAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.served.iter().map(|one| (&one.label, &one.names));
        f.debug_map().entries(served).finish()
    }
}
