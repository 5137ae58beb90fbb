//! What RFC 7301, RFC 8446 and RFC 9113 say to an answer, in the light of the others.

use tls_parser::{TlsCipherKx, TlsCipherMac, TlsCipherSuite};

use super::{Client, Http2, Offer, Outcome, Row, Verdict, alerts};
use crate::{
    alpn::ProtocolName,
    negotiated::{CipherSuite, TlsVersion},
};

/// Judges every row.
pub(super) fn judge(rows: &mut [Row]) {
    let server = Server::seen_in(rows);
    for row in rows {
        row.verdict = server.verdict(row);
    }
}

/// What the report says about the server as a whole.
struct Server {
    /// The protocols that it chose, in whichever row.
    chosen: Vec<ProtocolName>,
    /// Who got a handshake through, and under which limit of the version.
    got_through: Vec<(Client, Option<TlsVersion>)>,
    /// How it refused well-formed offers of what servers have.
    usual: Vec<Outcome>,
    /// Whether it answered anything by TLS.
    speaks_tls: bool,
}

impl Server {
    fn seen_in(rows: &[Row]) -> Self {
        let got_through = |row: &&Row| matches!(row.outcome, Outcome::Negotiated { .. });
        let of_the_usual = |row: &&Row| {
            let usual = [ProtocolName::H2, ProtocolName::HTTP_1_1];
            row.offer.version().is_none()
                && !got_through(row)
                && row.offer.protocols().iter().any(|it| usual.contains(it))
        };
        Self {
            chosen: rows.iter().filter_map(Row::chosen).cloned().collect(),
            got_through: rows
                .iter()
                .filter(got_through)
                .map(|row| (row.client, row.offer.version()))
                .collect(),
            usual: rows
                .iter()
                .filter(of_the_usual)
                .map(|row| row.outcome.clone())
                .collect(),
            speaks_tls: rows.iter().any(|row| row.outcome.is_tls()),
        }
    }

    /// Whether it takes part in ALPN: RFC 7301 leaves that to a server, but what it wants of one
    /// that does, it wants of every answer.
    fn supports_alpn(&self) -> bool {
        !self.chosen.is_empty()
    }

    fn shares_a_protocol_with(&self, offer: &Offer) -> bool {
        let mut names = offer.protocols().iter();
        names.any(|name| self.chosen.contains(name))
    }

    fn verdict(&self, row: &Row) -> Verdict {
        let offer = &row.offer;
        match &row.outcome {
            // What is said of a server wants one that speaks TLS.
            _ if !self.speaks_tls => Verdict::NotJudged,
            Outcome::Unreachable(_)
            | Outcome::Untrusted(_)
            | Outcome::Incompatible(_)
            | Outcome::Unsupported(_) => Verdict::NotJudged,
            outcome if offer.as_malformed().is_some() => self.to_malformed(outcome),
            Outcome::Invalid(_) => {
                violates("the answer is none that a client may accept (RFC 8446 section 4)")
            }
            Outcome::NotTls(_) => violates("the answer is no TLS (RFC 8446 section 5.1)"),
            Outcome::Negotiated {
                alpn_protocol: Some(chosen),
                tls_version,
                cipher_suite,
                http2,
            } => chose(offer, chosen, *tls_version, *cipher_suite, http2.as_ref()),
            Outcome::Negotiated {
                alpn_protocol: None,
                ..
            } => self.chose_none(offer),
            Outcome::Alert(alert) => self.alerted(row, *alert),
            Outcome::Closed if self.wants_alert(row) => violates(
                "closed without the alert no_application_protocol (120) where no protocol is in \
                 common (RFC 7301 section 3.2)",
            ),
            _ => Verdict::NotJudged,
        }
    }

    /// RFC 8446 section 6.2: what cannot be parsed is answered by decode_error, what can but is
    /// not allowed by illegal_parameter. A server that drops what is wrong and finds nothing that
    /// it likes may come to no_application_protocol.
    fn to_malformed(&self, outcome: &Outcome) -> Verdict {
        let wanted = "an alert, decode_error (50) or illegal_parameter (47) (RFC 8446 section 6.2)";
        match outcome {
            Outcome::Alert(
                alerts::DECODE_ERROR | alerts::ILLEGAL_PARAMETER | alerts::NO_APPLICATION_PROTOCOL,
            ) => Verdict::Conforms,
            // Not because it is malformed: what is well-formed gets the same, or the ClientHello
            // made by hand lacks what this server wants.
            same if self.usual.contains(same) => Verdict::NotJudged,
            Outcome::Alert(
                alerts::HANDSHAKE_FAILURE
                | alerts::PROTOCOL_VERSION
                | alerts::INTERNAL_ERROR
                | alerts::UNRECOGNIZED_NAME,
            ) => Verdict::NotJudged,
            Outcome::Alert(alert) => violates(format!(
                "alert {} to a malformed offer, which wants {wanted}",
                alerts::Shown(*alert)
            )),
            Outcome::Negotiated { .. } => violates(format!(
                "negotiated on a malformed offer, which wants {wanted}"
            )),
            Outcome::Closed => {
                violates(format!("closed on a malformed offer, which wants {wanted}"))
            }
            Outcome::NotTls(_) => violates(format!(
                "no TLS in answer to a malformed offer, which wants {wanted}"
            )),
            Outcome::TimedOut => violates(format!(
                "no answer to a malformed offer, which wants {wanted}"
            )),
            // Its number cannot be read.
            _ => Verdict::NotJudged,
        }
    }

    fn chose_none(&self, offer: &Offer) -> Verdict {
        if offer.protocols().is_empty() || !self.supports_alpn() {
            return Verdict::Conforms;
        }
        violates(match self.shares_a_protocol_with(offer) {
            false => {
                "fell back to no protocol without a word where none is in common: the alert \
                 no_application_protocol (120) is wanted (RFC 7301 section 3.2)"
            }
            true => {
                "chose no protocol, though it chose one of those offered in another row (RFC 7301 \
                 section 3.2)"
            }
        })
    }

    fn alerted(&self, row: &Row, alert: u8) -> Verdict {
        let limited = row.offer.version().is_some();
        match alert {
            // Not every server has every version (RFC 8446 section 4.2.1).
            alerts::PROTOCOL_VERSION if limited => Verdict::Conforms,
            alerts::NO_APPLICATION_PROTOCOL
                if !limited && self.shares_a_protocol_with(&row.offer) =>
            {
                violates(
                    "no_application_protocol (120), though it chose a protocol of those offered \
                     in another row (RFC 7301 section 3.2)",
                )
            }
            alerts::NO_APPLICATION_PROTOCOL => Verdict::Conforms,
            other if self.wants_alert(row) && !alerts::is_about_something_else(other) => {
                violates(format!(
                    "alert {} where no protocol is in common: no_application_protocol (120) is \
                     wanted (RFC 7301 section 3.2)",
                    alerts::Shown(other)
                ))
            }
            // The handshake failed over something else than ALPN.
            _ => Verdict::NotJudged,
        }
    }

    /// Whether the alert 120 is the one answer. Where this client got no handshake through under
    /// the same versions, something else may be in the way: a cipher suite, a curve, the version.
    fn wants_alert(&self, row: &Row) -> bool {
        let offer = &row.offer;
        !offer.protocols().is_empty()
            && self.supports_alpn()
            && !self.shares_a_protocol_with(offer)
            && self.got_through.contains(&(row.client, offer.version()))
    }
}

fn chose(
    offer: &Offer,
    chosen: &ProtocolName,
    version: Option<TlsVersion>,
    suite: Option<CipherSuite>,
    http2: Option<&Http2>,
) -> Verdict {
    if !offer.protocols().contains(chosen) {
        return violates(format!(
            "chose {chosen}, which was not offered (RFC 7301 section 3.1)"
        ));
    }
    if *chosen != ProtocolName::H2 {
        return Verdict::Conforms;
    }
    if let Some(version) = version
        && version < TlsVersion::TLS_1_2
    {
        return violates(format!(
            "h2 under {version}: it needs TLS 1.2 (RFC 9113 section 9.2)"
        ));
    }
    if let Some(Http2::NotServed(_)) = http2 {
        return violates("negotiated h2 and did not serve it (RFC 9113 sections 3.2 and 3.4)");
    }
    match (suite.filter(|suite| is_prohibited(*suite)), http2) {
        (Some(suite), _) => violates(format!(
            "h2 with {suite}, which RFC 9113 section 9.2.2 says not to use: clients may refuse it"
        )),
        // It speaks HTTP/2; why it has no answer is not for ALPN to say.
        (None, Some(Http2::Spoken(_))) => Verdict::NotJudged,
        (None, _) => Verdict::Conforms,
    }
}

/// RFC 9113 appendix A lists the suites of TLS 1.2 that have no ephemeral key exchange or no AEAD.
fn is_prohibited(suite: CipherSuite) -> bool {
    TlsCipherSuite::from_id(suite.0).is_some_and(|suite| {
        let ephemeral = matches!(
            suite.kx,
            TlsCipherKx::Dhe | TlsCipherKx::Ecdhe | TlsCipherKx::Eccpwd | TlsCipherKx::Tls13
        );
        !ephemeral || suite.mac != TlsCipherMac::Aead
    })
}

fn violates(rule: impl Into<String>) -> Verdict {
    Verdict::Violates(rule.into())
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
