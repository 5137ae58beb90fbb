//! Checks a report against rules.

use std::time::Duration;

use super::{
    client::Client,
    expectation::Expectation,
    outcome::Outcome,
    report::{Report, Row, Verdict},
};

/// A report that is checked against rules.
///
/// With rules, the rules alone decide the [result](Self::result). Without rules, the RFCs decide.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckedReport {
    /// The report.
    pub report: Report,
    /// The rules, each with its violations.
    pub rules: Vec<CheckedRule>,
}

/// A rule and the violations of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckedRule {
    /// The rule.
    pub rule: Expectation,
    /// Empty if the rule holds.
    pub violations: Vec<Violation>,
}

/// Why a rule does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The index of the row that breaks the rule; `None` if no row is about the rule.
    pub row: Option<usize>,
    /// The row, and what is wrong with it.
    pub reason: String,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckResult {
    /// Every rule holds. Without rules: no answer violates an RFC or is missing, at least one
    /// conforms, and every TLS client completed a handshake.
    Holds,
    /// The server is reachable and falls short of that.
    FallsShort,
    /// There is no TLS server.
    Unreachable,
}

/// A row or a rule as a test case of JUnit and TAP.
pub(crate) struct Case {
    pub(crate) class: String,
    pub(crate) name: String,
    /// The server's answer; `None` for a rule.
    pub(crate) answer: Option<String>,
    pub(crate) time: Option<Duration>,
    pub(crate) state: State,
}

/// The state of a [`Case`].
pub(crate) enum State {
    Passed,
    Failed(String),
    /// A fault that does not count, since there are rules and none of them is about it.
    Tolerated(String),
    Skipped(String),
    /// There was no server to test.
    NoAnswer(String),
}

impl CheckedReport {
    /// Checks the report against the rules.
    pub fn new(report: Report, rules: Vec<Expectation>) -> Self {
        let rules = rules
            .into_iter()
            .map(|rule| CheckedRule {
                violations: violations(&rule, &report),
                rule,
            })
            .collect();
        Self { report, rules }
    }

    /// The result.
    pub fn result(&self) -> CheckResult {
        let holds = if !self.report.is_reachable() {
            return CheckResult::Unreachable;
        } else if self.rules.is_empty() {
            let mut rows = self.report.rows.iter();
            rows.clone().all(|row| fault(row).is_none())
                && rows.any(|row| row.verdict == Verdict::Conforms)
                && self.without_handshake().is_empty()
        } else {
            self.rules.iter().all(|rule| rule.violations.is_empty())
        };
        match holds {
            true => CheckResult::Holds,
            false => CheckResult::FallsShort,
        }
    }

    /// The TLS clients that completed no handshake with a reachable server.
    pub(crate) fn without_handshake(&self) -> Vec<Client> {
        match self.report.is_reachable() {
            true => self.report.without_handshake(),
            false => Vec::new(),
        }
    }

    /// A case for each row, then for each rule; without rules, for each client that completed no
    /// handshake.
    pub(crate) fn cases(&self) -> impl Iterator<Item = Case> {
        let rows = self.report.rows.iter().map(|row| Case {
            class: row.client.to_string(),
            name: row.offer.to_string(),
            answer: Some(row.outcome.to_string()),
            time: Some(row.time),
            state: self.state(row),
        });
        let rules = self.rules.iter().map(|rule| Case {
            class: "expect".into(),
            name: rule.rule.to_string(),
            answer: None,
            time: None,
            state: match &rule.violations[..] {
                [] => State::Passed,
                violations => {
                    let lines: Vec<_> = violations.iter().map(|it| &*it.reason).collect();
                    State::Failed(lines.join("\n"))
                }
            },
        });
        let handshakes = match self.rules.is_empty() {
            true => self.without_handshake(),
            false => Vec::new(),
        };
        let note = self.report.note().unwrap_or_default();
        let handshakes = handshakes.into_iter().map(move |client| Case {
            class: client.to_string(),
            name: "a handshake".into(),
            answer: Some("none got through".into()),
            time: None,
            state: State::Failed(note.clone()),
        });
        rows.chain(rules).chain(handshakes)
    }

    /// `localhost (127.0.0.1:8443)`.
    pub(crate) fn server(&self) -> String {
        format!("{} ({})", self.report.server_name, self.report.addr)
    }

    /// Why the result is [`CheckResult::Unreachable`], if it is.
    pub fn unreachable_reason(&self) -> String {
        let not_tls = |row: &Row| matches!(row.outcome, Outcome::NotTls(_));
        if let Some(note) = self
            .report
            .note()
            .filter(|_| self.report.rows.iter().any(not_tls))
        {
            return format!("{}: {note}", self.server());
        }
        let mut outcomes = self.report.rows.iter().map(|row| &row.outcome);
        let why = match outcomes.find(|it| !matches!(it, Outcome::Unsupported(_))) {
            Some(outcome) => outcome.to_string(),
            None => "no client could make an offer".into(),
        };
        format!("no answer from {}: {why}", self.server())
    }

    fn state(&self, row: &Row) -> State {
        match (fault(row), &row.verdict) {
            (Some(why), Verdict::NotJudged) if no_answer(&row.outcome) => State::NoAnswer(why),
            (Some(why), _) if self.rules.is_empty() => State::Failed(why),
            (Some(why), _) => State::Tolerated(why),
            (None, Verdict::NotJudged) => State::Skipped(row.outcome.to_string()),
            (None, _) => State::Passed,
        }
    }
}

/// The fault of a row: it violates an RFC, has no answer, or has an untrusted certificate. An
/// untrusted certificate hides every other answer, so it must not look like success.
fn fault(row: &Row) -> Option<String> {
    match (&row.verdict, &row.outcome) {
        (Verdict::Conforms, _) => None,
        (Verdict::Violates(rule), _) => Some(rule.clone()),
        (_, Outcome::Untrusted(_)) => Some(row.outcome.to_string()),
        (_, outcome) => no_answer(outcome).then(|| outcome.to_string()),
    }
}

fn no_answer(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::TimedOut | Outcome::Unreachable(_) | Outcome::NotTls(_)
    )
}

fn violations(rule: &Expectation, report: &Report) -> Vec<Violation> {
    let mut offered = false;
    let mut violations = Vec::new();
    for (index, row) in report.rows.iter().enumerate() {
        if !rule.concerns(&row.offer) || matches!(row.outcome, Outcome::Unsupported(_)) {
            continue;
        }
        offered = true;
        if let Err(reason) = rule.check(row) {
            violations.push(Violation {
                row: Some(index),
                reason,
            });
        }
    }
    if !offered {
        violations.push(Violation {
            row: None,
            reason: format!(
                "no client could make this offer: add --client {}",
                match rule.offer() {
                    Some(offer) if offer.as_malformed().is_none() => "rustls or native-tls",
                    _ => "raw",
                }
            ),
        });
    }
    violations
}
