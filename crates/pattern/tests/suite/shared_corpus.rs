//! Cases shared between projects, from the folder named by `REFLEXARC_CORPUS`.
//!
//! Every row must give its labelled result (a match, no match, or rejection) with every evaluator,
//! and again after printing the tree as an expression and as JSON. In a row with `quirk` the label
//! shows a defect of the engine that produced it; then `ours` is the expected result. Rows whose
//! result differs by design are listed below with the reason.

#![allow(
    clippy::disallowed_methods,
    reason = "the cases live outside the repository"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use reflexarc_event::Json;
use reflexarc_pattern::explain::explain;
use reflexarc_pattern::{Dialect, Matcher, Pattern, Scratch, naive};
use serde::Deserialize;

/// Rows whose result differs from the label by design.
struct Difference {
    reason: &'static str,
    rows: &'static [&'static str],
}

const AWS: &[Difference] = &[
    Difference {
        reason: "absence is decided after the other fields have chosen an array element",
        rows: &["quamina/TestZZ/033", "probe/0700"],
    },
    Difference {
        reason: "text after the JSON document of an event is rejected",
        rows: &["probe/0026"],
    },
    Difference {
        reason: "an unpaired surrogate is rejected",
        rows: &["probe/0080", "probe/0081"],
    },
    Difference {
        reason: "ignoring case, a title-case letter matches itself",
        rows: &["probe/0283"],
    },
];

/// For patterns translated by [`from_quamina`].
const QUAMINA: &[Difference] = &[
    Difference {
        reason: "text after the pattern is rejected",
        rows: &["quamina/TestExerciseMatching/015"],
    },
    Difference {
        reason: "empty patterns and empty arrays of alternatives are rejected",
        rows: &["quamina/TestZZ/001", "quamina/TestZZ/002"],
    },
    Difference {
        reason: "numbers compare by their exact value, not rounded to doubles",
        rows: &["quamina/TestZZ/004", "quamina/TestZZ/005"],
    },
    Difference {
        reason: "dotted and nested keys are one path",
        rows: &["quamina/TestZZ/006"],
    },
    Difference {
        reason: "the later of two constraints on one path is used",
        rows: &["quamina/TestZZ/009", "quamina/TestZZ/010"],
    },
    Difference {
        reason: "more operators, and several of them in one array",
        rows: &[
            "quamina/TestZZ/011",
            "quamina/TestZZ/018",
            "quamina/TestZZ/019",
            "quamina/TestZZ/021",
            "quamina/TestZZ/022",
            "quamina/TestZZ/023",
            "quamina/TestZZ/024",
        ],
    },
    Difference {
        reason: "ignoring case, a character matches its full upper-case form",
        rows: &["quamina/TestZZ/026"],
    },
    Difference {
        reason: "every value of a duplicate key counts",
        rows: &["quamina/TestZZ/031"],
    },
    Difference {
        reason: "an exact address is equal to its other spellings",
        rows: &["quamina/TestZZ/032"],
    },
    Difference {
        reason: "absence is decided after the other fields have chosen an element",
        rows: &["quamina/TestZZ/034"],
    },
    Difference {
        reason: "labelled by an engine without `regexp` and `shellstyle`",
        rows: &["probe/0878", "probe/0879"],
    },
];

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

#[test]
fn aws() {
    check("aws.jsonl", Dialect::Aws, AWS, str::to_owned);
}

#[test]
fn random() {
    check("random.jsonl", Dialect::Aws, &[], str::to_owned);
}

#[test]
fn quamina() {
    check("quamina.jsonl", Dialect::Reflexarc, QUAMINA, from_quamina);
}

#[test]
fn alibaba_patterns_are_accepted_and_rejected() {
    let Some(rows) = rows("alibaba.jsonl") else {
        return;
    };
    let mut failures = String::new();
    for row in &rows {
        let accepted = Pattern::parse(&row.pattern, Dialect::Alibaba).is_ok();
        if accepted == (row.expect == REJECTED) {
            let result = if accepted { "accepted" } else { "rejected" };
            writeln!(failures, "{}: {result}: {}", row.id, row.pattern)
                .expect("writing to a string cannot fail");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// In one matcher of all patterns, no pattern changes the result of another one: every match, and a
/// sample of the patterns that do not match, is compared with the reference evaluator.
#[test]
fn patterns_in_one_matcher_are_independent() {
    let (Some(aws), Some(random)) = (rows("aws.jsonl"), rows("random.jsonl")) else {
        return;
    };
    let rows: Vec<Row> = aws.into_iter().chain(random).collect();
    let parsed = rows
        .iter()
        .filter_map(|row| Pattern::parse(&row.pattern, Dialect::Aws).ok());
    let patterns: Vec<Pattern> = parsed.collect();
    let matcher = Matcher::build(patterns.iter().map(Pattern::node)).expect("within limits");
    let (mut scratch, mut found) = (Scratch::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        let Ok(event) = Json::parse(&row.event) else {
            continue;
        };
        matcher
            .matching_bytes(row.event.as_bytes(), &mut scratch, &mut found)
            .expect("the event has been parsed");
        let sampled = (number % 2003..patterns.len()).step_by(2003);
        for id in found
            .iter()
            .map(|&id| id as usize)
            .take(20)
            .chain(sampled)
            .chain([number % patterns.len()])
        {
            let matched = u32::try_from(id).is_ok_and(|id| found.binary_search(&id).is_ok());
            assert_eq!(
                naive::matches(patterns[id].node(), &event),
                matched,
                "{} {}",
                patterns[id].source(),
                row.event
            );
        }
    }
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

fn check(file: &str, dialect: Dialect, differences: &[Difference], translate: fn(&str) -> String) {
    let Some(mut rows) = rows(file) else { return };
    for row in &mut rows {
        row.pattern = translate(&row.pattern);
    }
    let listed: BTreeSet<&str> = differences
        .iter()
        .flat_map(|difference| difference.rows)
        .copied()
        .collect();
    let mut failures = String::new();
    let mut differing = BTreeSet::new();
    for row in &rows {
        let expected = row.ours.unwrap_or(row.expect);
        let results = results(row, dialect);
        if results.iter().all(|(_, result)| *result == expected) {
            continue;
        }
        differing.insert(row.id.as_str());
        if !listed.contains(row.id.as_str()) {
            writeln!(
                failures,
                "{}: expected {expected:?}, found {results:?}\n    {}\n    {}",
                row.id, row.pattern, row.event
            )
            .expect("writing to a string cannot fail");
        }
    }
    let reasons: Vec<&str> = differences
        .iter()
        .map(|difference| difference.reason)
        .collect();
    let agreeing: Vec<&&str> = listed.difference(&differing).collect();
    assert!(
        agreeing.is_empty(),
        "listed as different ({reasons:?}), but not different: {agreeing:?}"
    );
    assert!(failures.is_empty(), "{failures}");
}

/// The results of a row from every evaluator; a single one if the pattern or event is rejected.
fn results(row: &Row, dialect: Dialect) -> Vec<(&'static str, Label)> {
    let Ok(pattern) = Pattern::parse(&row.pattern, dialect) else {
        return vec![("parse", REJECTED)];
    };
    let Ok(event) = Json::parse(&row.event) else {
        return vec![("event", REJECTED)];
    };
    let mut results = vec![
        (
            "naive",
            Label::Answer(naive::matches(pattern.node(), &event)),
        ),
        (
            "explain",
            Label::Answer(explain(pattern.node(), &event).matched()),
        ),
    ];
    for (notation, text) in [
        ("expression", pattern.to_expression()),
        ("json", pattern.to_json()),
    ] {
        let again = Pattern::parse(&text, Dialect::Reflexarc);
        results.push((
            notation,
            again.map_or(REJECTED, |again| {
                Label::Answer(naive::matches(again.node(), &event))
            }),
        ));
    }
    let matcher = Matcher::build([pattern.node()]).expect("one pattern fits every limit");
    let matched = matcher
        .has_match_bytes(row.event.as_bytes(), &mut Scratch::new())
        .expect("the event has been parsed");
    results.push(("matcher", Label::Answer(matched)));
    results
}

#[expect(
    clippy::print_stdout,
    reason = "skipped files are listed in the output"
)]
fn rows(file: &str) -> Option<Vec<Row>> {
    let Some(folder) = std::env::var_os("REFLEXARC_CORPUS") else {
        println!("REFLEXARC_CORPUS is not set: {file} is skipped");
        return None;
    };
    let path = PathBuf::from(folder).join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a row"))
            .collect(),
    )
}
