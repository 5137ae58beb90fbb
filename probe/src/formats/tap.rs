//! The report by the Test Anything Protocol (testanything.org), version 13: the newest that `prove`
//! reads. Nothing here needs version 14.

use std::io::{self, Write};

use crate::checked::{Case, CheckResult, CheckedReport, State};

impl CheckedReport {
    /// Writes the report by the Test Anything Protocol, version 13: a point for each row and each
    /// rule.
    ///
    /// # Errors
    ///
    /// The writer fails.
    pub fn write_tap(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(out, "TAP version 13")?;
        if self.result() == CheckResult::Unreachable {
            return writeln!(out, "Bail out! {}", one_line(&self.unreachable_reason()));
        }
        let cases: Vec<_> = self.cases().collect();
        writeln!(out, "1..{}", cases.len())?;
        writeln!(out, "# {}", one_line(&self.server()))?;
        for (index, case) in cases.iter().enumerate() {
            write_case(case, index + 1, &mut out)?;
        }
        Ok(())
    }
}

fn write_case(case: &Case, number: usize, out: &mut impl Write) -> io::Result<()> {
    let (ok, directive) = match &case.state {
        State::Passed => ("ok", String::new()),
        State::Skipped(why) => ("ok", format!(" # SKIP {}", escaped(why))),
        State::Tolerated(why) => (
            "not ok",
            format!(" # TODO no rule is about it: {}", escaped(why)),
        ),
        State::Failed(_) | State::NoAnswer(_) => ("not ok", String::new()),
    };
    let name = escaped(&format!("{}: {}", case.class, case.name));
    writeln!(out, "{ok} {number} - {name}{directive}")?;

    // A JSON string is a YAML string, too.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut details = Vec::new();
    if let State::Failed(why) | State::NoAnswer(why) = &case.state {
        details.push(format!("message: {}", text(why)));
    }
    if let Some(answer) = &case.answer {
        details.push(format!("answer: {}", text(answer)));
    }
    if let Some(time) = case.time {
        details.push(format!("duration_ms: {:.3}", time.as_secs_f64() * 1000.0));
    }
    if details.is_empty() {
        return Ok(());
    }
    writeln!(out, "  ---")?;
    for line in details {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  ...")
}

/// Escapes what would begin a directive or end the line.
fn escaped(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_a_directive_or_a_line() {
        let case = Case {
            class: "raw".into(),
            name: "odd # SKIP \\\nok 2".into(),
            answer: Some("a \"b\"\nc".into()),
            time: None,
            state: State::Passed,
        };
        let mut out = Vec::new();
        write_case(&case, 1, &mut out).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "ok 1 - raw: odd \\# SKIP \\\\ ok 2\n  ---\n  answer: \"a \\\"b\\\"\\nc\"\n  ...\n"
        );
    }
}
