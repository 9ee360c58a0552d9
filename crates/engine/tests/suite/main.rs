//! The engine from the outside: rule files in, evaluations and diagnostics out.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make files, and fail by panicking"
)]

mod evaluation;
mod formatting;
mod limits;
mod reference;
mod rule_tests;

use reflexarc::RuleSet;
use reflexarc_event::NativeEvent;

/// A rule set of files given as name and text, all of which are right.
fn rules(files: &[(&str, &str)]) -> RuleSet {
    RuleSet::compile(files.iter().copied()).unwrap_or_else(|faults| {
        panic!(
            "{}",
            faults.iter().map(ToString::to_string).collect::<String>()
        );
    })
}

fn event(json: &str) -> NativeEvent {
    NativeEvent::from_json(json).unwrap()
}
