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
/// It refuses a client that sends the extension without `h2` in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlpnMissing {
    /// Refuses it with the alert `no_application_protocol`: HTTP/2 over TLS requires ALPN (RFC 9113
    /// section 3.2). The default.
    #[default]
    Reject,
    /// Serves it HTTP/2 with prior knowledge (RFC 9113 section 3.3). A client that speaks HTTP/1.x
    /// gets 505 with the reason in plain text.
    Allow,
}

/// The choice made from the ClientHello; the session must agree with it after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The client offered `h2`.
    H2,
    /// The client offered nothing, and the policy allows that.
    PriorKnowledge,
}

/// Names of an offer that an error shows: ordinary clients offer two or three.
const SHOWN: usize = 5;

/// Chooses `h2` if the client offers it, in any order and with any other protocol.
pub(crate) fn decide(
    offered: Option<&[ProtocolName]>,
    missing: AlpnMissing,
) -> Result<Decision, Error> {
    let refused = |what: String| {
        Err(Error::refused(
            AlertDescription::NoApplicationProtocol,
            format!("{what}; this server speaks h2 only"),
        ))
    };
    match (offered, missing) {
        (Some(names), _) if names.contains(&ProtocolName::H2) => Ok(Decision::H2),
        (Some(names), _) => {
            let shown = &names[..names.len().min(SHOWN)];
            let more = match names.len() - shown.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            refused(format!("the client offered {shown:?}{more} by ALPN"))
        }
        (None, AlpnMissing::Allow) => Ok(Decision::PriorKnowledge),
        (None, AlpnMissing::Reject) => refused("the client offered no protocol by ALPN".into()),
    }
}

impl Decision {
    /// Checks that the session reports the protocol that was chosen.
    pub(crate) fn check(self, reported: Option<&ProtocolName>) -> Result<(), Error> {
        let agrees = match self {
            Self::H2 => reported == Some(&ProtocolName::H2),
            Self::PriorKnowledge => reported.is_none(),
        };
        if agrees {
            return Ok(());
        }
        Err(Error::new(
            Kind::AlpnDisagreement,
            format!(
                "chose {self:?} from the ClientHello, but the session negotiated {reported:?}: \
                 check that the acceptor's own ALPN list contains h2"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ProtocolName> {
        names
            .iter()
            .map(|n| ProtocolName::new(*n).expect("a valid name"))
            .collect()
    }

    #[test]
    fn h2_is_chosen_in_any_order() {
        for offer in [&["h2"][..], &["h2", "http/1.1"], &["http/1.1", "h2"]] {
            for missing in [AlpnMissing::Reject, AlpnMissing::Allow] {
                let decision = decide(Some(&names(offer)), missing);
                assert_eq!(decision.expect("h2 is offered"), Decision::H2);
            }
        }
    }

    #[test]
    fn offer_without_h2_is_refused_under_either_policy() {
        for offer in [&["http/1.1"][..], &["h2c"], &["H2"], &["h2 "]] {
            for missing in [AlpnMissing::Reject, AlpnMissing::Allow] {
                let error = decide(Some(&names(offer)), missing).expect_err("no h2 in it");
                assert!(
                    error.is_alpn_mismatch() && error.is_handshake(),
                    "{error:?}"
                );
            }
        }
    }

    #[test]
    fn missing_alpn_is_decided_by_the_policy() {
        assert!(decide(None, AlpnMissing::Reject).is_err());
        let allowed = decide(None, AlpnMissing::Allow).expect("allowed");
        assert_eq!(allowed, Decision::PriorKnowledge);
    }

    #[test]
    fn session_must_agree_with_the_decision() {
        assert!(Decision::H2.check(Some(&ProtocolName::H2)).is_ok());
        assert!(Decision::PriorKnowledge.check(None).is_ok());
        for (decision, reported) in [
            (Decision::H2, None),
            (Decision::H2, Some(&ProtocolName::HTTP_1_1)),
            (Decision::PriorKnowledge, Some(&ProtocolName::H2)),
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
