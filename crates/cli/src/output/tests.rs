//! Results of rule tests, as text for people and as JSON for programs.

use std::collections::BTreeMap;

use reflexarc::{Coverage, Mismatch, RuleReport, TestReport, WindowCoverage};
use serde_json::{Value, json};

use super::text::plural;
use super::{Output, Paint};
use crate::exit::Failure;

/// Prints each test, the differences of failed ones and, if `coverage` is set, what no test covers.
pub(crate) fn print(
    reports: &[RuleReport],
    coverage: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    for report in reports {
        let file = output.paint(Paint::Bold, &report.file);
        let disabled = if report.enabled { "" } else { " (disabled)" };
        output.line(format_args!("{file}{disabled}"))?;
        if report.tests.is_empty() {
            output.line(format_args!(
                "  {} no tests",
                output.paint(Paint::Yellow, "–")
            ))?;
        }
        for test in &report.tests {
            print_test(test, output)?;
        }
        if coverage {
            print_coverage(&report.coverage, output)?;
        }
    }
    let tests = || reports.iter().flat_map(|report| &report.tests);
    let passed = tests().filter(|test| test.passed()).count();
    if coverage {
        let covered: usize = reports.iter().map(|report| report.coverage.covered()).sum();
        let total: usize = reports.iter().map(|report| report.coverage.total()).sum();
        output.line(format_args!("coverage: {covered} of {total}"))?;
    }
    output.line(format_args!(
        "{}: {passed} passed, {} failed",
        plural(reports.len() as u64, "rule"),
        tests().count() - passed
    ))
}

/// A report as an object with `rule`, `file`, `enabled`, `tests` and `coverage`.
pub(crate) fn json(report: &RuleReport) -> Value {
    let mismatch = |mismatch: &Mismatch| {
        json!({
            "step": mismatch.step, "line": mismatch.line, "key": mismatch.key,
            "expected": mismatch.expected, "actual": mismatch.actual,
            "near_misses": mismatch.near_misses,
        })
    };
    let tests = report.tests.iter().map(|test| {
        json!({
            "name": test.name, "line": test.line, "passed": test.passed(),
            "mismatches": test.mismatches.iter().map(mismatch).collect::<Vec<_>>(),
        })
    });
    let Coverage {
        leaves,
        lines,
        window,
        ..
    } = &report.coverage;
    // As they are named in the text, with `_` in place of the space.
    let window = window.map(|window| {
        let parts = window
            .parts()
            .map(|(part, exercised)| (part.replace(' ', "_"), exercised));
        parts.collect::<BTreeMap<_, _>>()
    });
    let leaves = leaves.iter().map(|leaf| {
        json!({
            "expression": leaf.expression,
            "seen_true": leaf.seen_true,
            "seen_false": leaf.seen_false,
        })
    });
    let lines = lines
        .iter()
        .map(|(line, run)| json!({ "line": line, "run": run }));
    json!({
        "rule": report.rule,
        "file": report.file,
        "enabled": report.enabled,
        "tests": tests.collect::<Vec<_>>(),
        "coverage": {
            "covered": report.coverage.covered(),
            "total": report.coverage.total(),
            "leaves": leaves.collect::<Vec<_>>(),
            "lines": lines.collect::<Vec<_>>(),
            "window": window,
        },
    })
}

/// What no test covers, one text each: `never true: id == 1`, `never run: line 7`,
/// `no test of a match that is resolved`.
pub(crate) fn uncovered(coverage: &Coverage) -> Vec<String> {
    let leaves = coverage.leaves.iter().flat_map(|leaf| {
        let seen = [(leaf.seen_true, "true"), (leaf.seen_false, "false")];
        let unseen = seen.into_iter().filter(|(seen, _)| !seen);
        unseen.map(|(_, word)| format!("never {word}: {}", leaf.expression))
    });
    let lines = coverage.lines.iter().filter(|(_, run)| !**run);
    let lines = lines.map(|(line, _)| format!("never run: line {line}"));
    let parts = coverage.window.iter().flat_map(WindowCoverage::parts);
    let parts = parts.filter(|(_, exercised)| !exercised);
    let parts = parts.map(|(part, _)| format!("no test of a match that is {part}"));
    leaves.chain(lines).chain(parts).collect()
}

/// A mismatch as lines of a diff: `-` expected, `+` actual.
pub(crate) fn differences(mismatch: &Mismatch) -> Vec<String> {
    let mut lines = Vec::new();
    let step = mismatch
        .step
        .map_or_else(String::new, |step| format!(" of step {}", step + 1));
    lines.push(format!("{}{step} (line {}):", mismatch.key, mismatch.line));
    let longest = mismatch.expected.len().max(mismatch.actual.len());
    for i in 0..longest {
        match (mismatch.expected.get(i), mismatch.actual.get(i)) {
            (Some(expected), Some(actual)) if expected == actual => {
                lines.push(format!("    {expected}"));
            }
            (expected, actual) => {
                lines.extend(expected.map(|expected| format!("  - {expected}")));
                lines.extend(actual.map(|actual| format!("  + {actual}")));
            }
        }
    }
    if longest == 0 {
        lines.push("  + (nothing)".to_owned());
    }
    for explanation in &mismatch.near_misses {
        lines.push("  the rule does not match the event:".to_owned());
        lines.extend(explanation.lines().map(|line| format!("    {line}")));
    }
    lines
}

fn print_test(test: &TestReport, output: &mut Output) -> Result<(), Failure> {
    if test.passed() {
        let tick = output.paint(Paint::Green, "✓");
        return output.line(format_args!("  {tick} {}", test.name));
    }
    let cross = output.paint(Paint::Red, "✗");
    output.line(format_args!("  {cross} {}", test.name))?;
    for line in test.mismatches.iter().flat_map(differences) {
        let line = match line.trim_start().chars().next() {
            Some('-') => output.paint(Paint::Red, line),
            Some('+') => output.paint(Paint::Green, line),
            _ => line,
        };
        output.line(format_args!("      {line}"))?;
    }
    Ok(())
}

fn print_coverage(coverage: &Coverage, output: &mut Output) -> Result<(), Failure> {
    for text in uncovered(coverage) {
        let mark = output.paint(Paint::Yellow, "!");
        output.line(format_args!("  {mark} {text}"))?;
    }
    Ok(())
}
