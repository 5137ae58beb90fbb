//! Chooses the application protocol by one rule for every TLS backend (RFC 7301, RFC 9113 section 3.2).

use std::{borrow::Cow, fmt};

use crate::{
    alert::AlertDescription,
    error::{Error, Kind},
};

/// The name of an application protocol as ALPN carries it: 1 to 255 bytes (RFC 7301 section 3.1).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProtocolName(Cow<'static, [u8]>);

impl ProtocolName {
    /// HTTP/2 over TLS.
    pub const H2: Self = Self(Cow::Borrowed(b"h2"));

    /// HTTP/1.1.
    pub const HTTP_1_1: Self = Self(Cow::Borrowed(b"http/1.1"));

    /// HTTP/1.0, which `curl --http1.0` offers. A server of HTTP/1.1 serves it too.
    pub const HTTP_1_0: Self = Self(Cow::Borrowed(b"http/1.0"));

    pub(crate) fn is_http1(&self) -> bool {
        [Self::HTTP_1_1, Self::HTTP_1_0].contains(self)
    }

    /// A name from its bytes.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the name is empty or longer than 255 bytes.
    pub fn new(name: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let name = name.into();
        match name.len() {
            1..=255 => Ok(Self(Cow::Owned(name))),
            len => Err(Error::new(
                Kind::Config,
                format!("an ALPN protocol name must have 1 to 255 bytes, this one has {len}"),
            )),
        }
    }

    /// A name that is known at compile time.
    ///
    /// # Panics
    ///
    /// If the name is empty or longer than 255 bytes; in a constant this is a compile error.
    pub const fn from_static(name: &'static [u8]) -> Self {
        assert!(
            !name.is_empty() && name.len() <= 255,
            "an ALPN protocol name must have 1 to 255 bytes"
        );
        Self(Cow::Borrowed(name))
    }

    /// The bytes as they are on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// How the server treats a client without the ALPN extension.
///
/// It refuses a client that sends the extension without one of its protocols in either case. A server
/// that serves `http/1.1` serves it to clients without the extension, as all servers do, whatever this
/// says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlpnMissing {
    /// Refuses it with the alert `no_application_protocol`: HTTP/2 over TLS requires ALPN (RFC 9113
    /// section 3.2). The default.
    #[default]
    Reject,
    /// Serves it HTTP/2 with prior knowledge (RFC 9113 section 3.3). A client that speaks HTTP/1.x
    /// gets 505 with the reason in plain text, unless the server serves `http/1.1`.
    Allow,
}

/// What a server serves, which decides what a connection speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlpnRule<'a> {
    /// Best first.
    pub(crate) protocols: &'a [ProtocolName],
    pub(crate) missing: AlpnMissing,
}

/// The choice made from the ClientHello; the session must agree with it after the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The first of the server's protocols that the client offered.
    Alpn(ProtocolName),
    /// The client offered nothing, and is served HTTP/1.1.
    Http1,
    /// The client offered nothing. Its first bytes tell what it speaks.
    Sniff,
}

/// What a connection speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http2,
    Http1,
    Other(ProtocolName),
}

/// Names of an offer that an error shows: ordinary clients offer two or three.
const SHOWN: usize = 5;

impl AlpnRule<'_> {
    /// The rule of a server that serves HTTP/2 only.
    pub(crate) const fn h2(missing: AlpnMissing) -> Self {
        Self {
            protocols: &[ProtocolName::H2],
            missing,
        }
    }

    pub(crate) fn serves(&self, name: &ProtocolName) -> bool {
        self.protocols.contains(name)
    }

    /// Chooses the first of the server's protocols that the client offers, in any order and with any
    /// other protocol.
    pub(crate) fn decide(&self, offered: Option<&[ProtocolName]>) -> Result<Decision, Error> {
        let Some(offered) = offered else {
            return self.without_alpn();
        };
        if let Some(chosen) = self.protocols.iter().find(|name| offered.contains(name)) {
            return Ok(Decision::Alpn(chosen.clone()));
        }
        let shown = &offered[..offered.len().min(SHOWN)];
        let more = match offered.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(self.refused(&format!("the client offered {shown:?}{more} by ALPN")))
    }

    fn without_alpn(&self) -> Result<Decision, Error> {
        let may_be_h2 = self.missing == AlpnMissing::Allow && self.serves(&ProtocolName::H2);
        match self.serves(&ProtocolName::HTTP_1_1) {
            _ if may_be_h2 => Ok(Decision::Sniff),
            true => Ok(Decision::Http1),
            false => Err(self.refused("the client offered no protocol by ALPN")),
        }
    }

    fn refused(&self, what: &str) -> Error {
        let names: Vec<_> = self.protocols.iter().map(ProtocolName::to_string).collect();
        Error::refused(
            AlertDescription::NoApplicationProtocol,
            format!("{what}; this server speaks {} only", names.join(", ")),
        )
    }
}

impl Decision {
    /// Checks that the session reports the protocol that was chosen.
    pub(crate) fn check(&self, reported: Option<&ProtocolName>) -> Result<(), Error> {
        let chosen = match self {
            Self::Alpn(name) => Some(name),
            Self::Http1 | Self::Sniff => None,
        };
        if chosen == reported {
            return Ok(());
        }
        Err(Error::new(
            Kind::AlpnDisagreement,
            format!(
                "chose {self:?} from the ClientHello, but the session negotiated {reported:?}: \
                 check that the acceptor's own ALPN list is the server's"
            ),
        ))
    }

    /// What the connection speaks, or `None` if its first bytes have to tell.
    pub(crate) fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Alpn(name) if name == ProtocolName::H2 => Some(Protocol::Http2),
            Self::Alpn(name) if name.is_http1() => Some(Protocol::Http1),
            Self::Alpn(name) => Some(Protocol::Other(name)),
            Self::Http1 => Some(Protocol::Http1),
            Self::Sniff => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: ProtocolName = ProtocolName::from_static(b"x-own");

    fn names(names: &[&str]) -> Vec<ProtocolName> {
        names
            .iter()
            .map(|n| ProtocolName::new(*n).expect("a valid name"))
            .collect()
    }

    /// What servers of all kinds choose, with `None` for a refusal.
    #[test]
    fn first_protocol_of_the_server_that_the_client_offers_is_chosen() {
        let h2 = || Some(ProtocolName::H2);
        let http1 = || Some(ProtocolName::HTTP_1_1);
        for (served, offered, chosen) in [
            (&["h2"][..], &["h2"][..], h2()),
            (&["h2"], &["http/1.1", "h2"], h2()),
            (&["h2"], &["http/1.1"], None),
            (&["h2"], &["h2c", "H2", "h2 "], None),
            (&["h2", "http/1.1"], &["http/1.1", "h2"], h2()),
            (&["h2", "http/1.1"], &["http/1.1", "spdy/1"], http1()),
            (&["h2", "http/1.1"], &["http/1.0"], None),
            (&["http/1.1", "h2"], &["h2", "http/1.1"], http1()),
            (&["http/1.1"], &["h2"], None),
            (&["h2", "x-own"], &["x-own", "h2"], h2()),
            (&["h2", "x-own"], &["x-own"], Some(OWN)),
            (&["x-own"], &["h2", "http/1.1"], None),
        ] {
            let protocols = names(served);
            for missing in [AlpnMissing::Reject, AlpnMissing::Allow] {
                let rule = AlpnRule {
                    protocols: &protocols,
                    missing,
                };
                let decision = rule.decide(Some(&names(offered)));
                if let Err(error) = &decision {
                    assert!(
                        error.is_alpn_mismatch() && error.is_handshake(),
                        "{error:?}"
                    );
                }
                let expected = chosen.clone().map(Decision::Alpn);
                assert_eq!(decision.ok(), expected, "{served:?} {offered:?}");
            }
        }
    }

    #[test]
    fn missing_alpn_is_http1_if_it_is_served_or_else_decided_by_the_policy() {
        use AlpnMissing::{Allow, Reject};
        for (served, missing, expected) in [
            (&["h2"][..], Reject, None),
            (&["h2"], Allow, Some(Decision::Sniff)),
            (&["h2", "http/1.1"], Reject, Some(Decision::Http1)),
            (&["h2", "http/1.1"], Allow, Some(Decision::Sniff)),
            (&["http/1.1"], Reject, Some(Decision::Http1)),
            (&["http/1.1"], Allow, Some(Decision::Http1)),
            (&["x-own"], Allow, None),
            (&["h2", "x-own"], Reject, None),
        ] {
            let protocols = names(served);
            let rule = AlpnRule {
                protocols: &protocols,
                missing,
            };
            assert_eq!(rule.decide(None).ok(), expected, "{served:?} {missing:?}");
        }
    }

    #[test]
    fn session_must_agree_with_the_decision() {
        let h2 = Decision::Alpn(ProtocolName::H2);
        assert!(h2.check(Some(&ProtocolName::H2)).is_ok());
        assert!(Decision::Sniff.check(None).is_ok());
        assert!(Decision::Http1.check(None).is_ok());
        for (decision, reported) in [
            (&h2, None),
            (&h2, Some(&ProtocolName::HTTP_1_1)),
            (&Decision::Http1, Some(&ProtocolName::HTTP_1_1)),
            (&Decision::Sniff, Some(&ProtocolName::H2)),
        ] {
            let error = decision.check(reported).expect_err("they differ");
            assert!(error.is_alpn_disagreement());
        }
    }

    #[test]
    fn names_have_1_to_255_bytes() {
        assert!(ProtocolName::new("").is_err());
        assert!(ProtocolName::new(vec![b'a'; 255]).is_ok());
        assert!(ProtocolName::new(vec![b'a'; 256]).is_err());
    }
}
