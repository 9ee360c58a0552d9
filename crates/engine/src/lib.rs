//! The façade: rule files become a rule set that matches, evaluates, explains and tests itself.
//!
//! ```
//! use reflexarc::RuleSet;
//! use reflexarc_event::NativeEvent;
//! use reflexarc_reaction::NoState;
//!
//! let rules = RuleSet::compile([("failed.toml", r#"
//!     when = 'content.result == "failed"'
//!     then = 'notify("network-team", `look at ${event.content.eniId}`)'
//! "#)]).expect("the rule is right");
//! let event = NativeEvent::from_json(r#"{"content": {"result": "failed", "eniId": "eni-1"}}"#)?;
//!
//! let evaluation = rules.evaluate(&event, &NoState, jiff::Timestamp::UNIX_EPOCH);
//! assert_eq!(evaluation.matched().collect::<Vec<_>>(), ["failed"]);
//! assert_eq!(evaluation.actions().next().map(|(_, _, action)| action.target()), Some("network-team"));
//! # Ok::<(), reflexarc_event::EventError>(())
//! ```
//!
//! This crate must not know targets' addresses, stores or the network; reading a rules folder is its only I/O.

mod coverage;
mod evaluate;
mod evaluation;
mod event_time;
mod failure_watch;
mod file_diagnostics;
mod folder;
mod format;
mod gate;
mod limits;
mod notice;
mod overlay;
pub mod reference;
mod rule;
mod rule_file;
mod rule_set;
mod rule_test;
mod subset;
mod test_run;
mod toml_json;
mod update_tests;

pub use coverage::{Coverage, Leaf};
pub use evaluation::{Evaluation, Failure, RuleEffects};
pub use event_time::event_time;
pub use failure_watch::{FailureReport, FailureWatch};
pub use file_diagnostics::FileDiagnostics;
pub use format::format_rule;
pub use limits::Limits;
pub use reference::REFERENCE;
pub use rule::Rule;
pub use rule_set::{EventFile, Matched, RuleSet};
pub use test_run::{Mismatch, RuleReport, TestReport};
pub use update_tests::update_tests;

/// The README's example in Rust runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
