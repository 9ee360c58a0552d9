//! Test reports in `JUnit`'s XML format, for continuous integration.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use reflexarc::{RuleReport, TestReport};

use super::tests::{differences, uncovered};
use crate::exit::Failure;

/// The whole document: a test suite for each rule, a test case for each test. With `coverage`, each
/// suite has the properties `coverage`, such as `7 of 9`, and `uncovered`, one for each part.
pub(crate) fn report(reports: &[RuleReport], coverage: bool) -> Result<String, Failure> {
    let mut document = Report::new("reflexarc test");
    for report in reports {
        let mut suite = TestSuite::new(report.rule.as_str());
        let file = report.file.as_str();
        suite.extra.insert("file".into(), file.into());
        suite.add_test_cases(
            report
                .tests
                .iter()
                .map(|test| test_case(&report.rule, test)),
        );
        if coverage {
            let (covered, total) = (report.coverage.covered(), report.coverage.total());
            suite.add_property(("coverage", format!("{covered} of {total}").as_str()));
            for text in uncovered(&report.coverage) {
                suite.add_property(("uncovered", text.as_str()));
            }
        }
        document.add_test_suite(suite);
    }
    document
        .to_string()
        .map_err(|error| Failure::Runtime(error.to_string()))
}

fn test_case(rule: &str, test: &TestReport) -> TestCase {
    let status = if test.passed() {
        TestCaseStatus::success()
    } else {
        let keys: Vec<_> = test
            .mismatches
            .iter()
            .map(|mismatch| mismatch.key)
            .collect();
        let text: Vec<_> = test.mismatches.iter().flat_map(differences).collect();
        let mut failed = TestCaseStatus::non_success(NonSuccessKind::Failure);
        failed.set_message(format!("unexpected {}", keys.join(", ")));
        failed.set_description(text.join("\n"));
        failed
    };
    let mut case = TestCase::new(test.name.as_str(), status);
    case.set_classname(rule);
    let line = test.line.to_string();
    case.extra.insert("line".into(), line.into());
    case
}

#[cfg(test)]
mod tests {
    use reflexarc::RuleSet;

    use super::*;

    #[test]
    fn markup_and_control_characters_give_valid_xml() {
        let text = "when = 'a exists'\nnotify = 't'\n\n\
            [[test]]\nname = \"a<b> & \\\"c\\\"\\u0001\"\n\
            event = '{\"a\": 1}'\nmatches = false\n";
        let rules = RuleSet::compile([("r.toml", text)]).expect("the rule is valid");
        let xml = report(&rules.test(""), false).expect("the report is printed");
        assert!(xml.contains("a&lt;b&gt; &amp; &quot;c&quot;"), "{xml}");
        assert!(!xml.contains('\u{1}'), "{xml}");
    }
}
