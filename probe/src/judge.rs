//! Judges each answer by RFC 7301, RFC 8446 and RFC 9113, given the other answers.

use corelane::{
    ProtocolName,
    tls::{CipherSuite, TlsVersion},
};
use tls_parser::{TlsCipherKx, TlsCipherMac, TlsCipherSuite};

use super::{
    alerts::{self, NamedAlert},
    client::Client,
    offer::Offer,
    outcome::{Http2, Outcome},
    report::{Row, Verdict},
};

/// Judges every row.
pub(crate) fn judge(rows: &mut [Row]) {
    let server = Server::seen_in(rows);
    for row in rows {
        row.verdict = server.verdict(row);
    }
}

/// Facts about the server, from all rows.
struct Server {
    /// The protocols that it chose in any row.
    chosen: Vec<ProtocolName>,
    /// The clients that completed a handshake, with the version that the offer was limited to.
    completed: Vec<(Client, Option<TlsVersion>)>,
    /// How it refused well-formed offers of common protocols.
    usual_refusals: Vec<Outcome>,
    /// Whether it answered in TLS at all.
    speaks_tls: bool,
}

impl Server {
    fn seen_in(rows: &[Row]) -> Self {
        let completed = |row: &&Row| matches!(row.outcome, Outcome::Negotiated { .. });
        let refused = |row: &&Row| {
            let common = [ProtocolName::H2, ProtocolName::HTTP_1_1];
            row.offer.version().is_none()
                && !completed(row)
                && row.offer.protocols().iter().any(|it| common.contains(it))
        };
        Self {
            chosen: rows.iter().filter_map(Row::chosen).cloned().collect(),
            completed: rows
                .iter()
                .filter(completed)
                .map(|row| (row.client, row.offer.version()))
                .collect(),
            usual_refusals: rows
                .iter()
                .filter(refused)
                .map(|row| row.outcome.clone())
                .collect(),
            speaks_tls: rows.iter().any(|row| row.outcome.is_tls()),
        }
    }

    /// Whether it takes part in ALPN. RFC 7301 leaves that to the server, but binds every answer of
    /// one that does.
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
            // The rules are about servers that speak TLS.
            _ if !self.speaks_tls => Verdict::NotJudged,
            Outcome::Unreachable(_)
            | Outcome::Untrusted(_)
            | Outcome::Incompatible(_)
            | Outcome::Unsupported(_) => Verdict::NotJudged,
            outcome if offer.as_malformed().is_some() => self.judge_malformed(outcome),
            Outcome::Invalid(_) => {
                violates("a client must not accept the answer (RFC 8446 section 4)")
            }
            Outcome::NotTls(_) => violates("the answer is not TLS (RFC 8446 section 5.1)"),
            Outcome::Negotiated {
                alpn_protocol: Some(chosen),
                tls_version,
                cipher_suite,
                http2,
                ..
            } => judge_choice(offer, chosen, *tls_version, *cipher_suite, http2.as_ref()),
            Outcome::Negotiated {
                alpn_protocol: None,
                ..
            } => self.judge_no_choice(offer),
            Outcome::Alert(alert) => self.judge_alert(row, *alert),
            Outcome::Closed if self.wants_alert(row) => violates(
                "closed without the alert no_application_protocol (120) where no protocol is in \
                 common (RFC 7301 section 3.2)",
            ),
            _ => Verdict::NotJudged,
        }
    }

    /// RFC 8446 section 6.2: decode_error for what cannot be parsed, illegal_parameter for what can
    /// be but is not allowed. A server that drops the malformed part and finds no protocol in common
    /// may answer no_application_protocol.
    fn judge_malformed(&self, outcome: &Outcome) -> Verdict {
        let wanted = "an alert, decode_error (50) or illegal_parameter (47) (RFC 8446 section 6.2)";
        match outcome {
            Outcome::Alert(
                alerts::DECODE_ERROR | alerts::ILLEGAL_PARAMETER | alerts::NO_APPLICATION_PROTOCOL,
            ) => Verdict::Conforms,
            // Not because it is malformed: a well-formed offer gets the same answer, or the raw
            // client's ClientHello lacks what this server requires.
            same if self.usual_refusals.contains(same) => Verdict::NotJudged,
            Outcome::Alert(
                alerts::HANDSHAKE_FAILURE
                | alerts::PROTOCOL_VERSION
                | alerts::INTERNAL_ERROR
                | alerts::UNRECOGNIZED_NAME,
            ) => Verdict::NotJudged,
            Outcome::Alert(alert) => violates(format!(
                "alert {} to a malformed offer, which requires {wanted}",
                NamedAlert(*alert)
            )),
            Outcome::Negotiated { .. } => violates(format!(
                "negotiated on a malformed offer, which requires {wanted}"
            )),
            Outcome::Closed => violates(format!(
                "closed on a malformed offer, which requires {wanted}"
            )),
            Outcome::NotTls(_) => violates(format!(
                "an answer without TLS to a malformed offer, which requires {wanted}"
            )),
            Outcome::TimedOut => violates(format!(
                "no answer to a malformed offer, which requires {wanted}"
            )),
            // The number of an encrypted alert cannot be read.
            _ => Verdict::NotJudged,
        }
    }

    fn judge_no_choice(&self, offer: &Offer) -> Verdict {
        if offer.protocols().is_empty() || !self.supports_alpn() {
            return Verdict::Conforms;
        }
        violates(match self.shares_a_protocol_with(offer) {
            false => {
                "completed the handshake without a protocol, although none is in common: \
                 it has to send the alert no_application_protocol (120) (RFC 7301 section 3.2)"
            }
            true => {
                "chose no protocol, though it chose one of those offered in another row (RFC 7301 \
                 section 3.2)"
            }
        })
    }

    fn judge_alert(&self, row: &Row, alert: u8) -> Verdict {
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
            other if self.wants_alert(row) && !alerts::is_unrelated_to_alpn(other) => {
                violates(format!(
                    "alert {} where no protocol is in common: no_application_protocol (120) is \
                     wanted (RFC 7301 section 3.2)",
                    NamedAlert(other)
                ))
            }
            // The handshake failed for another reason than ALPN.
            _ => Verdict::NotJudged,
        }
    }

    /// Whether the only right answer is the alert 120. If this client completed no handshake under
    /// the same versions, the cause may be another one: a cipher suite, a curve, the version.
    fn wants_alert(&self, row: &Row) -> bool {
        let offer = &row.offer;
        !offer.protocols().is_empty()
            && self.supports_alpn()
            && !self.shares_a_protocol_with(offer)
            && self.completed.contains(&(row.client, offer.version()))
    }
}

fn judge_choice(
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
        // It speaks HTTP/2, and a missing response is not a fault of ALPN; or the client is at fault.
        (None, Some(Http2::Spoken(_) | Http2::Incompatible(_))) => Verdict::NotJudged,
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
mod tests;
