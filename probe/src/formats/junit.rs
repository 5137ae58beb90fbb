//! The report as JUnit's XML.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::checked::{Case, CheckedReport, State};

impl CheckedReport {
    /// Writes the report as JUnit's XML: a test case for each row and each rule.
    ///
    /// # Errors
    ///
    /// The writer fails.
    pub fn write_junit(&self, out: impl Write) -> io::Result<()> {
        let mut suite = TestSuite::new(self.server());
        suite.add_test_cases(self.cases().map(test_case));
        suite.set_time(self.report.rows.iter().map(|row| row.time).sum());
        let mut report = Report::new("corelane alpn");
        report.add_test_suite(suite);
        report.serialize(out).map_err(io::Error::other)
    }
}

fn test_case(case: Case) -> TestCase {
    let status = match case.state {
        State::Passed => TestCaseStatus::success(),
        State::Failed(why) => not_passed(NonSuccessKind::Failure, &why),
        State::NoAnswer(why) => not_passed(NonSuccessKind::Error, &why),
        State::Tolerated(why) => skipped(&format!("no rule is about it: {why}")),
        State::Skipped(why) => skipped(&why),
    };
    let mut test = TestCase::new(case.name, status);
    test.set_classname(case.class);
    if let Some(time) = case.time {
        test.set_time(time);
    }
    if let Some(answer) = case.answer {
        test.set_system_out(answer);
    }
    test
}

fn not_passed(kind: NonSuccessKind, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(why.lines().next().unwrap_or_default());
    status.set_description(why);
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
