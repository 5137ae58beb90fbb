//! The report as JSON, by the schema schema/alpn-report.json.

use std::io::{self, Write};

use serde::Serialize;

use crate::{
    alerts::alert_name,
    checked::{CheckResult, CheckedReport, CheckedRule},
    offer::{Malformed, Offer},
    outcome::{Http2, Outcome},
    report::{Row, Verdict},
};

/// The version of the schema: raised when a field is renamed, removed or gets another meaning.
const VERSION: u32 = 1;

impl CheckedReport {
    /// Writes the report as JSON, by the schema `schema/alpn-report.json` of this crate.
    ///
    /// # Errors
    ///
    /// The writer fails.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, &JsonReport::new(self))?;
        writeln!(out)
    }
}

#[derive(Serialize)]
struct JsonReport {
    version: u32,
    address: String,
    server_name: String,
    result: &'static str,
    note: Option<String>,
    without_handshake: Vec<String>,
    client_certificate_alert: Option<u8>,
    rows: Vec<JsonRow>,
    expectations: Vec<JsonRule>,
}

#[derive(Serialize)]
struct JsonRow {
    client: String,
    offer: JsonOffer,
    outcome: JsonOutcome,
    verdict: JsonVerdict,
    time_ms: f64,
}

#[derive(Serialize)]
struct JsonOffer {
    text: String,
    protocols: Vec<String>,
    malformed: Option<&'static str>,
    tls_version: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum JsonOutcome {
    Negotiated {
        alpn_protocol: Option<String>,
        tls_version: Option<String>,
        cipher_suite: Option<String>,
        key_exchange_group: Option<String>,
        http2: Option<JsonHttp2>,
    },
    Alert {
        number: u8,
        name: Option<&'static str>,
    },
    Encrypted,
    Closed,
    NotTls {
        reason: String,
    },
    Invalid {
        reason: String,
    },
    Incompatible {
        reason: String,
    },
    Untrusted {
        reason: String,
    },
    TimedOut,
    Unreachable {
        reason: String,
    },
    Unsupported {
        reason: String,
    },
}

#[derive(Serialize)]
struct JsonHttp2 {
    readable: bool,
    spoken: bool,
    served: bool,
    status: Option<u16>,
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum JsonVerdict {
    Conforms,
    Violates { reason: String },
    NotJudged,
}

#[derive(Serialize)]
struct JsonRule {
    rule: String,
    holds: bool,
    broken: Vec<JsonBroken>,
}

#[derive(Serialize)]
struct JsonBroken {
    row: Option<usize>,
    reason: String,
}

impl JsonReport {
    fn new(checked: &CheckedReport) -> Self {
        let report = &checked.report;
        Self {
            version: VERSION,
            address: report.addr.to_string(),
            server_name: report.server_name.clone(),
            result: match checked.result() {
                CheckResult::Holds => "holds",
                CheckResult::FallsShort => "falls-short",
                CheckResult::Unreachable => "unreachable",
            },
            note: report.note(),
            without_handshake: checked
                .without_handshake()
                .iter()
                .map(ToString::to_string)
                .collect(),
            client_certificate_alert: report.client_certificate_alert,
            rows: report.rows.iter().map(JsonRow::from).collect(),
            expectations: checked.rules.iter().map(JsonRule::from).collect(),
        }
    }
}

impl From<&Row> for JsonRow {
    fn from(row: &Row) -> Self {
        Self {
            client: row.client.to_string(),
            offer: (&row.offer).into(),
            outcome: (&row.outcome).into(),
            verdict: match &row.verdict {
                Verdict::Conforms => JsonVerdict::Conforms,
                Verdict::Violates(reason) => JsonVerdict::Violates {
                    reason: reason.clone(),
                },
                Verdict::NotJudged => JsonVerdict::NotJudged,
            },
            time_ms: (row.time.as_secs_f64() * 1e6).round() / 1e3,
        }
    }
}

impl From<&Offer> for JsonOffer {
    fn from(offer: &Offer) -> Self {
        Self {
            text: offer.to_string(),
            protocols: offer.protocols().iter().map(ToString::to_string).collect(),
            malformed: offer.as_malformed().map(|malformed| match malformed {
                Malformed::EmptyList => "empty-list",
                Malformed::EmptyName => "empty-name",
                Malformed::LyingLength => "lying-length",
                Malformed::DuplicateExtension => "duplicate-extension",
                Malformed::TrailingBytes => "trailing-bytes",
            }),
            tls_version: offer.version().map(|version| version.to_string()),
        }
    }
}

impl From<&Outcome> for JsonOutcome {
    fn from(outcome: &Outcome) -> Self {
        fn text(value: &Option<impl ToString>) -> Option<String> {
            value.as_ref().map(ToString::to_string)
        }
        match outcome {
            Outcome::Negotiated {
                alpn_protocol,
                tls_version,
                cipher_suite,
                key_exchange_group,
                http2,
            } => Self::Negotiated {
                alpn_protocol: text(alpn_protocol),
                tls_version: text(tls_version),
                cipher_suite: text(cipher_suite),
                key_exchange_group: text(key_exchange_group),
                http2: http2.as_ref().map(JsonHttp2::from),
            },
            Outcome::Alert(number) => Self::Alert {
                number: *number,
                name: alert_name(*number),
            },
            Outcome::Encrypted => Self::Encrypted,
            Outcome::Closed => Self::Closed,
            Outcome::NotTls(reason) => Self::NotTls {
                reason: reason.clone(),
            },
            Outcome::Incompatible(reason) => Self::Incompatible {
                reason: reason.clone(),
            },
            Outcome::Invalid(reason) => Self::Invalid {
                reason: reason.clone(),
            },
            Outcome::Untrusted(reason) => Self::Untrusted {
                reason: reason.clone(),
            },
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Unreachable(reason) => Self::Unreachable {
                reason: reason.clone(),
            },
            Outcome::Unsupported(reason) => Self::Unsupported {
                reason: reason.clone(),
            },
        }
    }
}

impl From<&Http2> for JsonHttp2 {
    fn from(http2: &Http2) -> Self {
        let (status, reason) = match http2 {
            Http2::Served(status) => (Some(*status), None),
            Http2::Spoken(reason) | Http2::NotServed(reason) | Http2::Incompatible(reason) => {
                (None, Some(reason.clone()))
            }
        };
        Self {
            readable: !matches!(http2, Http2::Incompatible(_)),
            spoken: matches!(http2, Http2::Served(_) | Http2::Spoken(_)),
            served: status.is_some(),
            status,
            reason,
        }
    }
}

impl From<&CheckedRule> for JsonRule {
    fn from(rule: &CheckedRule) -> Self {
        Self {
            rule: rule.rule.to_string(),
            holds: rule.violations.is_empty(),
            broken: rule
                .violations
                .iter()
                .map(|violation| JsonBroken {
                    row: violation.row,
                    reason: violation.reason.clone(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn outcome_schema() -> jsonschema::Validator {
        let whole = include_str!("../../schema/alpn-report.json");
        let whole: Value = serde_json::from_str(whole).expect("JSON");
        let part = json!({ "$ref": "#/$defs/outcome", "$defs": whole["$defs"] });
        jsonschema::validator_for(&part).expect("a JSON Schema")
    }

    #[test]
    fn every_outcome_matches_the_schema() {
        let schema = outcome_schema();
        for (outcome, kind) in [
            (Outcome::Alert(120), "alert"),
            (Outcome::Alert(255), "alert"),
            (Outcome::Encrypted, "encrypted"),
            (Outcome::NotTls("220 mail".into()), "not-tls"),
            (Outcome::Incompatible("dh".into()), "incompatible"),
            (Outcome::Closed, "closed"),
            (Outcome::Invalid("no TLS".into()), "invalid"),
            (Outcome::Untrusted("self-signed".into()), "untrusted"),
            (Outcome::TimedOut, "timed-out"),
            (Outcome::Unreachable("refused".into()), "unreachable"),
            (Outcome::Unsupported("no".into()), "unsupported"),
        ] {
            let value = serde_json::to_value(JsonOutcome::from(&outcome)).expect("JSON");
            assert_eq!(value["kind"], kind);
            assert!(schema.is_valid(&value), "{value}");
        }
        let alert = JsonOutcome::from(&Outcome::Alert(120));
        let alert = serde_json::to_value(alert).expect("JSON");
        let name = "no_application_protocol";
        assert_eq!(
            alert,
            json!({ "kind": "alert", "number": 120, "name": name })
        );
    }

    #[test]
    fn every_http2_result_matches_the_schema() {
        let schema = outcome_schema();
        for http2 in [
            Http2::Served(200),
            Http2::Spoken("slow".into()),
            Http2::NotServed("HTTP/1.1".into()),
            Http2::Incompatible("message buffer full".into()),
        ] {
            let value = serde_json::to_value(JsonOutcome::Negotiated {
                alpn_protocol: Some("h2".into()),
                tls_version: None,
                cipher_suite: None,
                key_exchange_group: Some("x25519".into()),
                http2: Some(JsonHttp2::from(&http2)),
            });
            let value = value.expect("JSON");
            assert!(schema.is_valid(&value), "{value}");
        }
    }

    #[test]
    fn the_schema_refuses_other_outcomes() {
        let schema = outcome_schema();
        for value in [
            json!({}),
            json!({ "kind": "odd" }),
            json!({ "kind": "alert" }),
            json!({ "kind": "alert", "number": 256, "name": null }),
            json!({ "kind": "invalid" }),
            json!({ "kind": "negotiated", "alpn_protocol": "h2" }),
        ] {
            assert!(!schema.is_valid(&value), "{value}");
        }
    }
}
