//! The engine from the outside: rule files in, evaluations and diagnostics out.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make files, and fail by panicking"
)]

mod answers;
mod budgets;
mod call_findings;
mod checking;
mod cloudevent_form;
mod converted_events;
mod disabled;
mod evaluation;
mod event_fields;
mod examples;
#[path = "../../../diagnostic/tests/support/fixed_texts.rs"]
mod fixed_texts;
mod fixes;
mod formatting;
mod gates;
mod inhibits;
mod limits;
mod lookup_findings;
mod lookups;
mod partial_events;
mod prepared;
mod reference;
mod rule_fields;
mod rule_tests;
mod test_answers;
mod time;
mod window_keys;
mod window_variables;

use reflexarc::{NativeEvent, RuleSet};

/// A rule set of valid files, given as name and text.
fn rules(files: &[(&str, &str)]) -> RuleSet {
    RuleSet::compile(files.iter().copied()).unwrap_or_else(|error| panic!("{error}"))
}

fn event(json: &str) -> NativeEvent {
    NativeEvent::from_json(json).unwrap()
}
