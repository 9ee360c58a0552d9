//! Cases shared between projects, from the folder named by `REFLEXARC_CORPUS`.
//!
//! Every row must give its labelled result (a match, no match, or rejection) with every evaluator.
//! In a row with `quirk` the label shows a defect of the engine that produced it; then `ours` is
//! the expected result. Rows that differ by design are listed in [`crate::differences`].

#![allow(
    clippy::disallowed_methods,
    reason = "the cases live outside the repository"
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use libtest_mimic::{Completion, Failed, Trial};
use reflexarc_event::{Event, Json};
use reflexarc_pattern::{Dialect, Matcher, Pattern, Scratch, naive};
use serde::Deserialize;

use crate::differences::{AWS, Difference, QUAMINA};
use crate::evaluators::{answers, in_words};
use crate::mismatch::{Mismatch, fail_with};

#[derive(Deserialize)]
struct Row {
    id: String,
    pattern: String,
    event: String,
    expect: Label,
    ours: Option<Label>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(untagged)]
enum Label {
    Answer(bool),
    Rejected(Rejected),
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
enum Rejected {
    #[serde(rename = "error")]
    Error,
}

const REJECTED: Label = Label::Rejected(Rejected::Error);

/// A test of the rows in a folder.
type RowTest = fn(&Path) -> Result<(), Failed>;

const TESTS: [(&str, RowTest); 5] = [
    ("shared::aws", |folder| {
        check(folder, "aws.jsonl", Dialect::Aws, AWS, str::to_owned)
    }),
    ("shared::random", |folder| {
        check(folder, "random.jsonl", Dialect::Aws, &[], str::to_owned)
    }),
    ("shared::quamina", |folder| {
        let dialect = Dialect::Reflexarc;
        check(folder, "quamina.jsonl", dialect, QUAMINA, from_quamina)
    }),
    (
        "shared::alibaba_patterns_are_accepted_and_rejected",
        alibaba_patterns_are_accepted_and_rejected,
    ),
    (
        "shared::patterns_in_one_matcher_are_independent",
        patterns_in_one_matcher_are_independent,
    ),
];

/// A test for each file; without the folder, each is reported as ignored.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let folder = std::env::var_os("REFLEXARC_CORPUS");
    TESTS
        .into_iter()
        .map(move |(name, test)| trial(name, test, folder.clone()))
}

fn trial(name: &str, test: RowTest, folder: Option<OsString>) -> Trial {
    Trial::ignorable_test(name, move || match folder {
        Some(folder) => test(Path::new(&folder)).map(|()| Completion::Completed),
        None => Ok(Completion::ignored_with("REFLEXARC_CORPUS is not set")),
    })
}

fn alibaba_patterns_are_accepted_and_rejected(folder: &Path) -> Result<(), Failed> {
    let mut mismatches = Vec::new();
    for row in &rows(folder, "alibaba.jsonl") {
        let parsed = Pattern::parse(&row.pattern, Dialect::Alibaba);
        if parsed.is_ok() == (row.expect == REJECTED) {
            let found = parsed.map_or(REJECTED, |_| Label::Answer(true));
            mismatches.push(mismatch(row, "parse", row.expect, in_full(found)));
        }
    }
    fail_with(&mismatches)
}

/// In one matcher of all patterns, no pattern changes the result of another one: every match, and a
/// sample of the patterns that do not match, is compared with the reference evaluator.
fn patterns_in_one_matcher_are_independent(folder: &Path) -> Result<(), Failed> {
    let mut rows_of_both = rows(folder, "aws.jsonl");
    rows_of_both.extend(rows(folder, "random.jsonl"));
    let patterns: Vec<Pattern> = rows_of_both
        .iter()
        .filter_map(|row| Pattern::parse(&row.pattern, Dialect::Aws).ok())
        .collect();
    let matcher = Matcher::build(patterns.iter().map(Pattern::node)).expect("within limits");
    let (mut scratch, mut found, mut validated) = (Scratch::new(), Vec::new(), Vec::new());
    let mut mismatches = Vec::new();
    for (number, row) in rows_of_both.iter().enumerate() {
        let Ok(tree) = Json::parse(&row.event) else {
            continue;
        };
        matcher
            .matching_bytes(row.event.as_bytes(), &mut scratch, &mut found)
            .expect("the event has been parsed");
        if let Ok(event) = Event::from_json(row.event.as_str()) {
            matcher.matching(&event, &mut scratch, &mut validated);
            assert_eq!(validated, found, "{}", row.event);
        }
        let sampled = (number % 2003..patterns.len()).step_by(2003);
        for id in found
            .iter()
            .map(|&id| id as usize)
            .take(20)
            .chain(sampled)
            .chain([number % patterns.len()])
        {
            let matched = u32::try_from(id).is_ok_and(|id| found.binary_search(&id).is_ok());
            let expected = naive::matches(patterns[id].node(), &tree);
            if matched != expected {
                mismatches.push(Mismatch {
                    evaluator: "all patterns, bytes".to_owned(),
                    pattern: patterns[id].source().to_owned(),
                    event: Some(row.event.clone()),
                    expected: in_words(expected).to_owned(),
                    found: in_words(matched).to_owned(),
                });
            }
        }
    }
    fail_with(&mismatches)
}

/// Quamina's name for a wildcard is `shellstyle`, and its regular expressions escape with `~`.
fn from_quamina(pattern: &str) -> String {
    let escape = if pattern.contains("\"regexp\"") {
        r"\\"
    } else {
        "~"
    };
    pattern
        .replace("\"shellstyle\"", "\"wildcard\"")
        .replace('~', escape)
}

fn check(
    folder: &Path,
    file: &str,
    dialect: Dialect,
    differences: &[Difference],
    translate: fn(&str) -> String,
) -> Result<(), Failed> {
    let mut rows = rows(folder, file);
    for row in &mut rows {
        row.pattern = translate(&row.pattern);
    }
    let listed: BTreeSet<&str> = differences
        .iter()
        .flat_map(|difference| difference.rows)
        .copied()
        .collect();
    let mut mismatches = Vec::new();
    let mut differing = BTreeSet::new();
    for row in &rows {
        let found = row_mismatches(row, dialect);
        if found.is_empty() {
            continue;
        }
        differing.insert(row.id.as_str());
        if !listed.contains(row.id.as_str()) {
            mismatches.extend(found);
        }
    }
    for difference in differences {
        for &row in difference.rows {
            if !differing.contains(row) {
                mismatches.push(Mismatch {
                    evaluator: "all".to_owned(),
                    pattern: row.to_owned(),
                    event: None,
                    expected: format!("a difference: {}", difference.reason),
                    found: "the labelled result".to_owned(),
                });
            }
        }
    }
    fail_with(&mismatches)
}

/// The evaluators whose result is not that of the row.
fn row_mismatches(row: &Row, dialect: Dialect) -> Vec<Mismatch> {
    let expected = row.ours.unwrap_or(row.expect);
    let rejected_by = |step| {
        (expected != REJECTED)
            .then(|| mismatch(row, step, expected, in_full(REJECTED)))
            .into_iter()
            .collect()
    };
    let Ok(pattern) = Pattern::parse(&row.pattern, dialect) else {
        return rejected_by("parse");
    };
    let Ok(event) = Json::parse(&row.event) else {
        return rejected_by("event");
    };
    answers(&pattern, &row.event, &event)
        .into_iter()
        .filter(|answer| answer.found.clone().map(Label::Answer) != Ok(expected))
        .map(|answer| {
            let found = answer.found.map(Label::Answer).map(in_full);
            mismatch(
                row,
                answer.evaluator,
                expected,
                found.unwrap_or_else(|error| error),
            )
        })
        .collect()
}

fn mismatch(row: &Row, evaluator: &str, expected: Label, found: String) -> Mismatch {
    Mismatch {
        evaluator: format!("{evaluator}, row {}", row.id),
        pattern: row.pattern.clone(),
        event: Some(row.event.clone()),
        expected: in_full(expected),
        found,
    }
}

fn in_full(label: Label) -> String {
    match label {
        Label::Answer(matched) => in_words(matched).to_owned(),
        Label::Rejected(Rejected::Error) => "a rejection".to_owned(),
    }
}

fn rows(folder: &Path, file: &str) -> Vec<Row> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect()
}
