//! What a client offers by ALPN.

use std::fmt;

use corelane::{ProtocolName, tls::TlsVersion};

use super::name_text::EscapedName;

/// What a client offers: protocols in its order of preference, or none; and the only version of TLS
/// that it offers, if not all that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    content: Content,
    only: Option<TlsVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Protocols(Vec<ProtocolName>),
    /// No ALPN extension.
    None,
    Malformed(Malformed),
}

/// Malformed offers, which no TLS library sends. A server should refuse each with an alert.
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
    /// Bytes after the list within the extension.
    TrailingBytes,
}

impl Malformed {
    /// Every kind.
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
    /// These protocols, the preferred first. An empty list means no ALPN extension.
    pub fn new(protocols: impl IntoIterator<Item = ProtocolName>) -> Self {
        let protocols: Vec<_> = protocols.into_iter().collect();
        let content = match protocols.is_empty() {
            true => Content::None,
            false => Content::Protocols(protocols),
        };
        Self {
            content,
            only: None,
        }
    }

    /// No ALPN extension.
    pub fn none() -> Self {
        Self::new([])
    }

    /// A malformed offer of `h2`.
    pub fn malformed(malformed: Malformed) -> Self {
        Self {
            content: Content::Malformed(malformed),
            only: None,
        }
    }

    /// The same offer under this version of TLS only.
    #[must_use]
    pub fn only(mut self, version: TlsVersion) -> Self {
        self.only = Some(version);
        self
    }

    /// The default offers: `h2` alone, before and after `http/1.1`, `http/1.1` alone, an unknown
    /// protocol, none, GREASE (RFC 8701) with `h2`, `h2` under TLS 1.2 only and under TLS 1.3 only,
    /// and every [`Malformed`] one.
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

    /// The offered protocols; empty without an ALPN extension and with a malformed one.
    pub fn protocols(&self) -> &[ProtocolName] {
        match &self.content {
            Content::Protocols(protocols) => protocols,
            Content::None | Content::Malformed(_) => &[],
        }
    }

    /// What is malformed about it, if anything is.
    pub fn as_malformed(&self) -> Option<Malformed> {
        match self.content {
            Content::Malformed(malformed) => Some(malformed),
            _ => None,
        }
    }

    /// The only version of TLS that is offered, if it is limited to one.
    pub fn version(&self) -> Option<TlsVersion> {
        self.only
    }
}

/// `h2,http/1.1`, `none`, `h2 (TLS 1.2)`, `malformed: empty list`.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Malformed(malformed) => malformed.fmt(f)?,
            Content::None => f.write_str("none")?,
            Content::Protocols(protocols) => {
                for (i, name) in protocols.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { "," } else { "" }, EscapedName(name))?;
                }
            }
        }
        match self.version() {
            Some(version) => write!(f, " ({version})"),
            None => Ok(()),
        }
    }
}
