//! Cases shared between projects, read from the folder that `REFLEXARC_CORPUS` names.
//!
//! Every row must be accepted, rejected and answered as it says, from its own text and again after printing the tree as an
//! expression and as JSON. A row with `quirk` shows a fault of the engine that labelled it; `ours` is then our answer.
//! What differs by design although the row does not say so is listed below, each group with its reason.

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

/// Rows whose label we do not share.
struct Difference {
    reason: &'static str,
    rows: &'static [&'static str],
}

const AWS: &[Difference] = &[
    Difference {
        reason: "absence is judged after the other fields have chosen an element, not in the order of the paths",
        rows: &["quamina/TestZZ/033", "probe/0700"],
    },
    Difference {
        reason: "an event is one JSON document, with nothing behind it",
        rows: &["probe/0026"],
    },
    Difference {
        reason: "half a surrogate pair is no character",
        rows: &["probe/0080", "probe/0081"],
    },
    Difference {
        reason: "a title-case letter accepts itself when case is ignored",
        rows: &["probe/0283"],
    },
];

/// Read after [`in_our_words`].
const QUAMINA: &[Difference] = &[
    Difference {
        reason: "text behind the pattern is refused",
        rows: &["quamina/TestExerciseMatching/015"],
    },
    Difference {
        reason: "an empty pattern and an empty list of alternatives are refused",
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
        reason: "of a path constrained twice the later constraint counts",
        rows: &["quamina/TestZZ/009", "quamina/TestZZ/010"],
    },
    Difference {
        reason: "our language has more operators, and lets them stand beside each other",
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
        reason: "a character accepts its full upper-case form",
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
        reason: "absence is judged after the other fields have chosen an element",
        rows: &["quamina/TestZZ/034"],
    },
    Difference {
        reason: "labelled by an engine without regular expressions and `shellstyle`",
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
    check("quamina.jsonl", Dialect::Reflexarc, QUAMINA, in_our_words);
}

#[test]
fn alibaba_is_accepted_and_rejected_alike() {
    let Some(rows) = rows("alibaba.jsonl") else {
        return;
    };
    let mut wrong = String::new();
    for row in &rows {
        let accepted = Pattern::parse(&row.pattern, Dialect::Alibaba).is_ok();
        if accepted == (row.expect == REJECTED) {
            writeln!(wrong, "{}: accepted is {accepted}: {}", row.id, row.pattern)
                .expect("a string takes any text");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Patterns that have nothing to do with an event must not match it because of their neighbours, nor be missed: among
/// all patterns at once, every match and a sample of the others is asked of the plain evaluator.
#[test]
fn patterns_do_not_disturb_each_other() {
    let (Some(aws), Some(random)) = (rows("aws.jsonl"), rows("random.jsonl")) else {
        return;
    };
    let rows: Vec<Row> = aws.into_iter().chain(random).collect();
    let parsed = rows
        .iter()
        .filter_map(|row| Pattern::parse(&row.pattern, Dialect::Aws).ok());
    let patterns: Vec<Pattern> = parsed.collect();
    let matcher = Matcher::build(patterns.iter().map(Pattern::node)).expect("they fit");
    let (mut scratch, mut found) = (Scratch::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        let Ok(event) = Json::parse(&row.event) else {
            continue;
        };
        matcher
            .matching_bytes(row.event.as_bytes(), &mut scratch, &mut found)
            .expect("the event has been read");
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

/// The neighbour calls a wildcard `shellstyle`, and its regular expressions escape with `~` instead of a backslash.
fn in_our_words(pattern: &str) -> String {
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
    let mut wrong = String::new();
    let mut differing = BTreeSet::new();
    for row in &rows {
        let expected = row.ours.unwrap_or(row.expect);
        let answers = answers(row, dialect);
        if answers.iter().all(|(_, answer)| *answer == expected) {
            continue;
        }
        differing.insert(row.id.as_str());
        if !listed.contains(row.id.as_str()) {
            writeln!(
                wrong,
                "{}: {expected:?}, but {answers:?}\n    {}\n    {}",
                row.id, row.pattern, row.event
            )
            .expect("a string takes any text");
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
    assert!(wrong.is_empty(), "{wrong}");
}

/// What we say to a row, each way that we can say it; only one way where the pattern is rejected.
fn answers(row: &Row, dialect: Dialect) -> Vec<(&'static str, Label)> {
    let Ok(pattern) = Pattern::parse(&row.pattern, dialect) else {
        return vec![("parse", REJECTED)];
    };
    let Ok(event) = Json::parse(&row.event) else {
        return vec![("event", REJECTED)];
    };
    let mut answers = vec![
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
        answers.push((
            notation,
            again.map_or(REJECTED, |again| {
                Label::Answer(naive::matches(again.node(), &event))
            }),
        ));
    }
    let matcher = Matcher::build([pattern.node()]).expect("one pattern fits every limit");
    let matched = matcher
        .has_match_bytes(row.event.as_bytes(), &mut Scratch::new())
        .expect("the event has been read before");
    answers.push(("matcher", Label::Answer(matched)));
    answers
}

#[expect(
    clippy::print_stdout,
    reason = "whoever runs the tests should see what was left out"
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
