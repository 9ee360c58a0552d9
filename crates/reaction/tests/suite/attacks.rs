//! Scripts that try to hurt: each ends in the error its second line tells, and leaves no trace.

use std::fs;
use std::path::{Path, PathBuf};

use reflexarc_reaction::{Input, Limits, MemoryState, Reaction, ReactionError};

use crate::{compile, event, now, rule};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/scripts/attacks")
}

/// What became of a script, in the words of its header.
fn outcome(script: &str) -> String {
    let reaction = match Reaction::compile(script, &Limits::DEFAULT) {
        Ok(reaction) => reaction,
        Err(found) => return format!("diagnostic {}: {}", found[0].code, found[0].message),
    };
    match reaction.run(&Input::new(&event(), &rule(), now()), &MemoryState::new()) {
        Ok(effects) => format!("nothing stopped it: {effects:?}"),
        Err(ReactionError::Limit {
            limit, message, at, ..
        }) => {
            let place = at.map(|place| format!("{place}: ")).unwrap_or_default();
            format!("limit {limit}: {place}{message}")
        }
        Err(error) => format!("error {error}"),
    }
}

/// The place is only checked where the header tells one.
fn fits(outcome: &str, expected: &str) -> bool {
    let without_place = |text: &str| match (text.find("line "), text.find(": the ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &text[..start], &text[end + 2..])
        }
        _ => text.to_owned(),
    };
    outcome == expected
        || without_place(outcome) == expected
        || (expected == "error" && outcome.starts_with("error "))
}

#[test]
fn each_ends_in_its_error_and_the_next_event_does_not_notice() {
    let mut names: Vec<PathBuf> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() > 40, "the corpus is there");
    let honest = compile(r#"notify("team", event.content.eniId); set("seen", true); log("fine")"#);
    let undisturbed = honest
        .run(&Input::new(&event(), &rule(), now()), &MemoryState::new())
        .unwrap();
    let mut wrong = Vec::new();
    for name in names {
        let script = fs::read_to_string(&name).unwrap();
        let expected = script
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("//! "))
            .expect("the second line tells");
        let outcome = outcome(&script);
        if !fits(&outcome, expected) {
            let outcome: String = outcome.chars().take(300).collect();
            wrong.push(format!(
                "{}\n  expected {expected}\n  but      {outcome}",
                name.display()
            ));
        }
        let effects = honest
            .run(&Input::new(&event(), &rule(), now()), &MemoryState::new())
            .unwrap();
        assert_eq!(
            format!("{effects:?}"),
            format!("{undisturbed:?}"),
            "after {}",
            name.display()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
