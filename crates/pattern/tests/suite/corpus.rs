//! The cases in `tests/corpus/patterns`: one file per operator, each case named after its subject.

#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use reflexarc_diagnostic::Severity;
use reflexarc_event::Event;
use reflexarc_pattern::{Dialect, Pattern};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One pattern, in one or both notations, with the expected results.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Default: reflexarc.
    dialect: Option<String>,
    json: Option<String>,
    expression: Option<String>,
    /// Events that match.
    #[serde(default)]
    matches: Vec<String>,
    /// Events that do not match.
    #[serde(default)]
    other: Vec<String>,
    /// The codes of the errors from parsing either notation.
    errors: Option<Vec<String>>,
    /// The codes of the warnings, in at least one of the notations.
    warnings: Option<Vec<String>>,
    /// The codes of the errors from checking either notation for AWS; none if it is portable.
    aws: Option<Vec<String>>,
    /// The same for Alibaba Cloud.
    alibaba: Option<Vec<String>>,
}

#[test]
fn every_case_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/patterns");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("a folder entry").path())
        .collect();
    files.sort();
    let mut failures = String::new();
    let mut count = 0;
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable file");
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in file.case {
            count += 1;
            let name = path.file_name().expect("a file name").to_string_lossy();
            for failure in failures_of(&case) {
                writeln!(failures, "{name}: {}: {failure}", case.name)
                    .expect("writing to a string cannot fail");
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
    assert!(count > 100, "only {count} cases");
}

/// The expectations of a case that are not met.
fn failures_of(case: &Case) -> Vec<String> {
    let dialect: Dialect = case
        .dialect
        .as_deref()
        .unwrap_or("reflexarc")
        .parse()
        .expect("a dialect");
    let texts: Vec<&String> = case.json.iter().chain(&case.expression).collect();
    assert!(!texts.is_empty(), "{} has no pattern", case.name);
    let mut failures = Vec::new();
    let mut patterns = Vec::new();
    for text in texts {
        match Pattern::parse(text, dialect) {
            Ok(pattern) if case.errors.is_none() => patterns.push(pattern),
            Ok(_) => failures.push(format!("{text} is accepted")),
            Err(found) => {
                let codes = codes(found.diagnostics(), Severity::Error);
                if case.errors.as_ref() != Some(&codes) {
                    failures.push(format!("{text} is rejected with {codes:?}: {found:#?}"));
                }
            }
        }
    }
    if let [one, other] = patterns.as_slice()
        && one.node() != other.node()
    {
        failures.push(format!(
            "the notations differ: {} / {}",
            one.to_expression(),
            other.to_expression()
        ));
    }
    for pattern in &patterns {
        for (events, expected) in [(&case.matches, true), (&case.other, false)] {
            for event in events {
                let event = Event::from_json(event.as_str())
                    .unwrap_or_else(|error| panic!("{}: {error}", case.name));
                if pattern.matches(&event) != expected {
                    failures.push(format!(
                        "{}: expected {expected} for {}",
                        pattern.source(),
                        event.tree()
                    ));
                }
            }
        }
        for (service, expected) in [(Dialect::Aws, &case.aws), (Dialect::Alibaba, &case.alibaba)] {
            let found = codes(&pattern.check(service), Severity::Error);
            if expected.as_ref().is_some_and(|expected| *expected != found) {
                failures.push(format!("{} for {service}: {found:?}", pattern.source()));
            }
            if pattern.export(service).is_ok() != found.is_empty() {
                failures.push(format!(
                    "{}: export and check disagree for {service}",
                    pattern.source()
                ));
            }
        }
    }
    if let Some(expected) = &case.warnings
        && !patterns
            .iter()
            .any(|pattern| codes(pattern.warnings(), Severity::Warning) == *expected)
    {
        failures.push(format!(
            "warnings are {:?}",
            patterns.iter().map(Pattern::warnings).collect::<Vec<_>>()
        ));
    }
    failures
}

fn codes(found: &[reflexarc_diagnostic::Diagnostic], severity: Severity) -> Vec<String> {
    found
        .iter()
        .filter(|found| found.severity == severity)
        .map(|found| found.code.to_string())
        .collect()
}
