//! What a client offers by ALPN.

use std::fmt;

use crate::{alpn::ProtocolName, negotiated::TlsVersion};

/// What a client offers: protocols in its order of preference, or none at all, and the one version
/// of TLS it is to be tried with, if not all that the client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    what: What,
    only: Option<TlsVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Protocols(Vec<ProtocolName>),
    /// No ALPN extension.
    None,
    Malformed(Malformed),
}

/// Offers that no TLS library sends, made by hand. A good server refuses each by an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// An ALPN extension whose list has no name in it.
    EmptyList,
    /// A name of no bytes.
    EmptyName,
    /// A list that claims to be longer than its extension.
    LyingLength,
    /// The ALPN extension twice.
    DuplicateExtension,
    /// Bytes behind the list within the extension.
    TrailingBytes,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::EmptyList,
        Self::EmptyName,
        Self::LyingLength,
        Self::DuplicateExtension,
        Self::TrailingBytes,
    ];
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyList => "malformed: empty list",
            Self::EmptyName => "malformed: empty name",
            Self::LyingLength => "malformed: lying length",
            Self::DuplicateExtension => "malformed: extension twice",
            Self::TrailingBytes => "malformed: trailing bytes",
        })
    }
}

impl Offer {
    /// These protocols, best first; with none in the list there is no ALPN extension.
    pub fn new(protocols: impl IntoIterator<Item = ProtocolName>) -> Self {
        let protocols: Vec<_> = protocols.into_iter().collect();
        let what = match protocols.is_empty() {
            true => What::None,
            false => What::Protocols(protocols),
        };
        Self { what, only: None }
    }

    /// No ALPN extension.
    pub fn none() -> Self {
        Self::new([])
    }

    /// What a library would not send.
    pub fn malformed(malformed: Malformed) -> Self {
        Self {
            what: What::Malformed(malformed),
            only: None,
        }
    }

    /// The same under this version of TLS only.
    #[must_use]
    pub fn only(mut self, version: TlsVersion) -> Self {
        self.only = Some(version);
        self
    }

    /// What is tried where nothing else is asked for: `h2` alone, before and behind `http/1.1`,
    /// `http/1.1` alone, an unknown protocol, none, GREASE (RFC 8701) with `h2`, `h2` under TLS 1.2
    /// and under TLS 1.3 only, and what is malformed.
    pub fn defaults() -> Vec<Self> {
        let (h2, http) = (ProtocolName::H2, ProtocolName::HTTP_1_1);
        let grease = ProtocolName::from_static(b"\x1a\x1a");
        let mut offers = vec![
            Self::new([h2.clone()]),
            Self::new([h2.clone(), http.clone()]),
            Self::new([http.clone(), h2.clone()]),
            Self::new([http]),
            Self::new([ProtocolName::from_static(b"x-unknown")]),
            Self::none(),
            Self::new([grease, h2.clone()]),
            Self::new([h2.clone()]).only(TlsVersion::TLS_1_2),
            Self::new([h2]).only(TlsVersion::TLS_1_3),
        ];
        offers.extend(Malformed::ALL.map(Self::malformed));
        offers
    }

    /// The protocols offered; empty where there is no ALPN extension or a malformed one.
    pub fn protocols(&self) -> &[ProtocolName] {
        match &self.what {
            What::Protocols(protocols) => protocols,
            What::None | What::Malformed(_) => &[],
        }
    }

    /// What is wrong with it.
    pub fn as_malformed(&self) -> Option<Malformed> {
        match self.what {
            What::Malformed(malformed) => Some(malformed),
            _ => None,
        }
    }

    /// The one version of TLS that is tried.
    pub fn version(&self) -> Option<TlsVersion> {
        self.only
    }
}
