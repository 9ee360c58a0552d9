//! Which events: a filter language modelled on EventBridge event patterns, its tree, and two evaluators of it.
//!
//! ```
//! use reflexarc_event::Event;
//! use reflexarc_pattern::{Dialect, Pattern};
//!
//! let event = Event::from_json(r#"{"content": {"result": "failed", "eniId": "eni-1"}}"#)?;
//! for text in [r#"{"content": {"result": ["failed"]}}"#, r#"content.result == "failed""#] {
//!     let pattern = Pattern::parse(text, Dialect::Reflexarc).expect("both notations are well-formed");
//!     assert!(pattern.matches(&event));
//! }
//! # Ok::<(), reflexarc_event::EventError>(())
//! ```
//!
//! [`naive`] says what a pattern means; everything faster must agree with it.
//!
//! This crate must not know rules, scripts, targets or any particular cloud's events, and has no clock and no I/O.

mod advice;
mod dialect;
pub mod explain;
mod limits;
mod located;
mod matcher;
pub mod naive;
mod normal;
mod number;
mod path;
mod pattern;
mod places;
mod print;
pub mod reference;
mod regexp;
mod scalar_matcher;
mod syntax;
mod tree;
mod value;
mod wildcard;
mod words;

pub use dialect::{Dialect, UnknownDialect};
pub use limits::Limits;
pub use matcher::{BuildError, Elements, Fields, Matcher, MatcherLimits, Scratch, Slow, Stats};
pub use number::Decimal;
pub use path::Path;
pub use pattern::Pattern;
pub use reference::REFERENCE;
pub use scalar_matcher::{FieldSet, ScalarMatcher};
pub use tree::{Alternative, Bound, Field, Node, Predicate, Regexp, TextOp, Wildcard};
