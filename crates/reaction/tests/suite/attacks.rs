//! Hostile scripts: each ends in the error on its second line and has no effect on later runs.

use std::fs;
use std::path::{Path, PathBuf};

use reflexarc_reaction::{Input, MemoryState, Reaction, ReactionError, ReactionLimits};

use crate::{compile, event, now, rule};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/scripts/attacks")
}

/// The outcome of a script in the form of its header.
fn outcome(script: &str) -> String {
    let reaction = match Reaction::compile(script, &ReactionLimits::DEFAULT) {
        Ok(reaction) => reaction,
        Err(error) => {
            let found = &error.diagnostics()[0];
            return format!("diagnostic {}: {}", found.code, found.message);
        }
    };
    match reaction.run(&Input::new(&event(), &rule(), now()), &MemoryState::new()) {
        Ok(effects) => format!("effects: {effects:?}"),
        Err(ReactionError::Limit {
            limit, message, at, ..
        }) => {
            let location = at.map(|at| format!("{at}: ")).unwrap_or_default();
            format!("limit {limit}: {location}{message}")
        }
        Err(error) => format!("error {error}"),
    }
}

/// The location is only compared where the header has one.
fn fits(outcome: &str, expected: &str) -> bool {
    let without_location = |text: &str| {
        let start = text.find("line ")?;
        let length = text[start..].find(": ")? + 2;
        Some(format!("{}{}", &text[..start], &text[start + length..]))
    };
    outcome == expected
        || without_location(outcome).as_deref() == Some(expected)
        || (expected == "error" && outcome.starts_with("error "))
}

#[test]
fn each_script_ends_in_its_error_without_side_effects() {
    let mut names: Vec<PathBuf> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() > 40, "the corpus is missing");
    let benign = compile(r#"notify("team", event.content.eniId); set("seen", true); log("fine")"#);
    let expected_effects = benign
        .run(&Input::new(&event(), &rule(), now()), &MemoryState::new())
        .unwrap();
    let mut wrong = Vec::new();
    for name in names {
        let script = fs::read_to_string(&name).unwrap();
        let expected = script
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("//! "))
            .expect("the second line is the expected outcome");
        let outcome = outcome(&script);
        if !fits(&outcome, expected) {
            let outcome: String = outcome.chars().take(300).collect();
            wrong.push(format!(
                "{}\n  expected {expected}\n  found    {outcome}",
                name.display()
            ));
        }
        let effects = benign
            .run(&Input::new(&event(), &rule(), now()), &MemoryState::new())
            .unwrap();
        assert_eq!(
            format!("{effects:?}"),
            format!("{expected_effects:?}"),
            "after {}",
            name.display()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
