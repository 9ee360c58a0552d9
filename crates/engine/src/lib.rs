//! Rules for cloud events: rule files become a [`RuleSet`] that matches events, evaluates
//! reactions, explains itself and runs the tests in the files.
//!
//! ```
//! use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
//!
//! let rules = RuleSet::compile([("failed.toml", r#"
//!     when = 'content.result == "failed"'
//!     then = 'notify("network-team", `look at ${event.content.eniId}`)'
//! "#)])?;
//! let event =
//!     NativeEvent::from_json(r#"{"content": {"result": "failed", "eniId": "eni-1"}}"#)?;
//!
//! let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
//! assert_eq!(evaluation.matched().collect::<Vec<_>>(), ["failed"]);
//! let targets: Vec<_> = evaluation.actions().map(|(_, _, action)| action.target()).collect();
//! assert_eq!(targets, ["network-team"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What the API mentions is re-exported, so that this one crate is all that a program needs. Times
//! are [`jiff`]'s, of which [`Timestamp`] is re-exported; nothing else of the public API is of a
//! crate outside this project.
//!
//! This crate must not know targets' addresses, stores or the network; reading a rules folder is
//! its only I/O.

mod ahead_history;
mod allow;
mod answered_call;
mod budget;
mod call_fields;
mod call_findings;
pub mod cloudevent_form;
mod content_hash;
mod coverage;
mod delayed_actions;
mod evaluate;
mod evaluation;
mod event_fields;
mod event_key;
mod event_time;
mod event_value;
mod explain;
mod failure_counter;
mod field_evidence;
mod filter_search;
mod fixed_texts;
mod folder;
mod format;
mod gate_keys;
mod gates;
mod inhibition;
mod limits;
mod lookup;
mod lookup_fields;
mod lookup_keys;
mod match_description;
mod misplaced_keys;
mod notification;
mod overlap;
mod overlay;
mod portable;
mod reaction_failure;
mod recorded_state;
pub mod reference;
mod rule;
mod rule_advice;
mod rule_fields;
mod rule_file;
mod rule_findings;
mod rule_set;
mod rule_shape;
mod rule_test;
mod rule_window;
mod subset;
mod table;
mod tables;
mod test_answer;
mod test_calls;
mod test_run;
mod test_tables;
mod toml_json;
mod update_tests;
mod vocabulary;
mod window;
mod window_keys;

pub use jiff::Timestamp;
pub use reflexarc_diagnostic::{
    Code, Diagnostic, FileDiagnostics, Fix, InvalidFiles, Label, Severity, Span,
};
pub use reflexarc_event::{Event, EventError, Json, JsonError, Level, NativeEvent, ParseError};
pub use reflexarc_pattern::explain::Explanation;
pub use reflexarc_pattern::{
    BuildError, Dialect, Matcher, Pattern, PatternError, Scratch, UnknownDialect,
};
#[doc(hidden)]
pub use reflexarc_reaction::sealed;
pub use reflexarc_reaction::{
    Action, CallAnswer, Entry, KeptEvent, KeptMatch, KeptMatches, MemoryState, Message, NoState,
    OwnCode, ReactionLimits, State, StateChange, Stopwatch,
};

pub use answered_call::AnsweredCall;
pub use budget::{EffectSize, ReactionBudget};
pub use coverage::{Coverage, LeafCoverage, WindowCoverage};
pub use delayed_actions::{DelayedAction, DelayedActions};
pub use evaluation::{Evaluation, Failure, FailureCause, FiringReason, MatchFiring, RuleEffects};
pub use event_time::event_time;
pub use explain::{LookupExplanation, WindowExplanation, WindowFilterExplanation, explain_native};
pub use failure_counter::{FailureCounter, FailureReport};
pub use format::format_rule;
pub use inhibition::Inhibition;
pub use limits::RuleSetLimits;
pub use match_description::{FiredMatch, MatchDescription};
pub use portable::PortableFilter;
pub use reference::REFERENCE;
pub use rule::{Rule, RuleCall};
pub use rule_file::MAX_STATE_ENTRIES;
pub use rule_set::{DueEvaluation, EventFile, LiveWindow, Matched, PreparedEvaluation, RuleSet};
pub use rule_shape::rule_shape;
pub use tables::Tables;
pub use test_run::{Mismatch, RuleReport, TestReport};
pub use update_tests::update_tests;
pub use vocabulary::check_vocabulary;
pub use window_keys::WindowKind;

/// What fuzzing calls; in no other build.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    use crate::rule_set::timeline::scenario::Scenario;

    /// Compares what a rule with a time window does in a scenario with the naive twin.
    pub fn time(bytes: &[u8]) {
        let scenario = Scenario::from_bytes(bytes);
        let (actual, expected) = scenario.happened();
        assert_eq!(actual, expected, "{scenario:?}");
    }
}

/// The Rust example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The example of the crate's own README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct CrateReadme;
