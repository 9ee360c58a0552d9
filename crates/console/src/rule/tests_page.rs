//! `/rules/{name}/tests`: the tests of a rule, run now.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use reflexarc::{Mismatch, RuleReport};

use super::unknown;
use crate::error::PageError;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Badge, Count, Tone};
use crate::session::Session;
use crate::text::{Block, Shown, command_line};

/// Tests of which a page shows the results; all failed ones come first.
const MAX_TESTS: usize = 500;

#[derive(Template)]
#[template(path = "rule_tests.html")]
struct TestsPage {
    page: Page,
    back: String,
    passed: Count,
    failed: Count,
    covered: Count,
    coverable: Count,
    tests: Vec<TestView>,
    left_out: usize,
}

struct TestView {
    name: Shown,
    place: Shown,
    result: Badge,
    differences: Option<Block>,
}

/// Runs the tests of one rule and shows the results.
pub(crate) async fn show(
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let rules = session.handle().rules();
    let file = rules.get(&name).ok_or_else(unknown)?.file().to_owned();
    let rule = name.clone();
    let report = session
        .handle()
        .query_large(move |_| Ok(rules.test_rule(&rule)));
    let report = report.await?.ok_or_else(unknown)?;
    let passed = report.tests.iter().filter(|test| test.passed()).count();
    html(&TestsPage {
        page: session
            .page(
                Screen::Rules,
                format!("Tests of rule {}", Shown::line(&name)),
            )
            .command(command_line("reflexarc test", &[&file])),
        back: links::rule(&name),
        passed: Count(passed as u64),
        failed: Count((report.tests.len() - passed) as u64),
        covered: Count(report.coverage.covered() as u64),
        coverable: Count(report.coverage.total() as u64),
        left_out: report.tests.len().saturating_sub(MAX_TESTS),
        tests: views(&report),
    })
}

fn views(report: &RuleReport) -> Vec<TestView> {
    let mut tests: Vec<_> = report.tests.iter().collect();
    // In the order of the file, the failed ones first.
    tests.sort_by_key(|test| (test.passed(), test.index));
    let view = |test: &reflexarc::TestReport| TestView {
        name: Shown::line(&test.name),
        place: Shown::line(&format!("{}:{}", report.file, test.line)),
        result: if test.passed() {
            Badge::new("passed", Tone::Good)
        } else {
            Badge::new("failed", Tone::Bad)
        },
        differences: (!test.passed()).then(|| differences(&report.file, &test.mismatches)),
    };
    tests.into_iter().take(MAX_TESTS).map(view).collect()
}

/// The failed expectations of a test, as lines of a diff: `-` expected, `+` actual.
fn differences(file: &str, mismatches: &[Mismatch]) -> Block {
    let mut lines = Vec::new();
    for mismatch in mismatches {
        let step = mismatch.step.map(|step| format!(" of step {}", step + 1));
        let step = step.unwrap_or_default();
        lines.push(format!(
            "{}{step} ({file}:{}):",
            mismatch.key, mismatch.line
        ));
        lines.extend(mismatch.expected.iter().map(|value| format!("  - {value}")));
        lines.extend(mismatch.actual.iter().map(|value| format!("  + {value}")));
        if mismatch.actual.is_empty() {
            lines.push("  + (nothing)".to_owned());
        }
        for explanation in &mismatch.near_misses {
            lines.push("  the rule does not match the event:".to_owned());
            lines.extend(explanation.lines().map(|line| format!("    {line}")));
        }
    }
    Block::new(&lines.join("\n"))
}
