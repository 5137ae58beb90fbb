//! A report beside the rules that were to hold, and what to make of both.

use std::time::Duration;

use corelane::probe::{Client, Expectation, Outcome, Report, Row, Verdict};

pub(super) struct Judged {
    pub(super) report: Report,
    pub(super) rules: Vec<Rule>,
}

pub(super) struct Rule {
    pub(super) rule: Expectation,
    /// Empty: it holds.
    pub(super) broken: Vec<Broken>,
}

pub(super) struct Broken {
    /// The index of the row that breaks the rule; `None`: no row could show that it holds.
    pub(super) row: Option<usize>,
    /// Names the row.
    pub(super) why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    Holds,
    FallsShort,
    Unreachable,
}

/// A row or a rule as test reports have it.
pub(super) struct Case {
    pub(super) class: String,
    pub(super) name: String,
    /// What the server answered; `None` for a rule.
    pub(super) answer: Option<String>,
    pub(super) time: Option<Duration>,
    pub(super) state: State,
}

pub(super) enum State {
    Passed,
    Failed(String),
    /// A fault that does not count, since there are rules and none of them is about it.
    Tolerated(String),
    Skipped(String),
    /// There was no server to test.
    NoAnswer(String),
}

impl Judged {
    pub(super) fn new(report: Report, rules: Vec<Expectation>) -> Self {
        let rules = rules
            .into_iter()
            .map(|rule| Rule {
                broken: broken(&rule, &report),
                rule,
            })
            .collect();
        Self { report, rules }
    }

    /// With rules they decide; without, the RFCs, of a server that every client came to terms with.
    pub(super) fn result(&self) -> Result {
        let holds = if !self.report.is_reachable() {
            return Result::Unreachable;
        } else if self.rules.is_empty() {
            let mut rows = self.report.rows.iter();
            rows.clone().all(|row| fault(row).is_none())
                && rows.any(|row| row.verdict == Verdict::Conforms)
                && self.without_handshake().is_empty()
        } else {
            self.rules.iter().all(|rule| rule.broken.is_empty())
        };
        match holds {
            true => Result::Holds,
            false => Result::FallsShort,
        }
    }

    /// The clients that got no handshake through with a server that is there.
    pub(super) fn without_handshake(&self) -> Vec<Client> {
        match self.report.is_reachable() {
            true => self.report.without_handshake(),
            false => Vec::new(),
        }
    }

    /// Row by row, then rule by rule; without rules, what else is wanted.
    pub(super) fn cases(&self) -> impl Iterator<Item = Case> {
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
            state: match &rule.broken[..] {
                [] => State::Passed,
                broken => {
                    let lines: Vec<_> = broken.iter().map(|it| &*it.why).collect();
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
    pub(super) fn server(&self) -> String {
        format!("{} ({})", self.report.server_name, self.report.addr)
    }

    /// Why there is nothing to judge.
    pub(super) fn unreachable(&self) -> String {
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

/// What is wrong with a row by the RFCs, or with the way there: a certificate that is in the way
/// of every other answer must not look like success.
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

fn broken(rule: &Expectation, report: &Report) -> Vec<Broken> {
    let mut shown = false;
    let mut broken = Vec::new();
    for (index, row) in report.rows.iter().enumerate() {
        if !rule.concerns(&row.offer) || matches!(row.outcome, Outcome::Unsupported(_)) {
            continue;
        }
        shown = true;
        if let Err(why) = rule.check(row) {
            broken.push(Broken {
                row: Some(index),
                why,
            });
        }
    }
    if !shown {
        broken.push(Broken {
            row: None,
            why: format!(
                "no client could make this offer: add --client {}",
                match rule.offer() {
                    Some(offer) if offer.as_malformed().is_none() => "rustls or native-tls",
                    _ => "raw",
                }
            ),
        });
    }
    broken
}
