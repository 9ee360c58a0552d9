//! Event filters: a pattern language modelled on EventBridge event patterns, its syntax tree and
//! its evaluators.
//!
//! ```
//! use reflexarc_event::Event;
//! use reflexarc_pattern::{Dialect, Pattern};
//!
//! let event = Event::from_json(r#"{"content": {"result": "failed", "eniId": "eni-1"}}"#)?;
//! for text in [r#"{"content": {"result": ["failed"]}}"#, r#"content.result == "failed""#] {
//!     let pattern = Pattern::parse(text, Dialect::Reflexarc)?;
//!     assert!(pattern.matches(&event));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Types of other crates in the interface: networks are those of [`ipnet`]; events, paths and
//! numbers those of [`reflexarc_event`]; findings those of [`reflexarc_diagnostic`].
//!
//! Must not know: rules, scripts, targets or the events of a particular cloud. No clock, no I/O.
//!
//! # Where each step is
//!
//! ```text
//! text ── syntax/scan ──► bounded, brackets balanced
//!      ── grammar.pest ─► pest pairs          (syntax/syntax_error: what the grammar rejects)
//!      ── syntax/ ──────► spanned tree        (spanned: every node with its span)
//!              │  dialect/  errors and warnings for AWS and Alibaba Cloud EventBridge
//!              │  analysis/ conditions that never or always match, superfluous alternatives
//!              │  lints     conditions that are often misread
//!              │            impossible_paths, literal_wildcards: what other languages write so
//!              │            (foreign_path: their paths; syntax/foreign: their operators)
//!              ▼
//!            tree ── normal ─► one form for both notations
//!              ├── print/      JSON notation and expression notation, with or without comments
//!              ├── naive       the meaning: looks up values (field_values), tries every choice of
//!              │               array elements
//!              ├── explain/    the reference evaluation, node by node, with the closest value
//!              ├── matcher/    many patterns against the bytes of one event, through an index
//!              └── scalar_matcher  one pattern against values that are handed in one by one
//! ```
//!
//! [`naive`] defines what a pattern means; every faster evaluator must agree with it.

mod analysis;
mod canonical_scalar;
mod dialect;
pub mod explain;
mod field_values;
mod foreign_path;
mod impossible_paths;
mod keywords;
mod limits;
mod lints;
mod literal_wildcards;
pub mod matcher;
pub mod naive;
mod normal;
mod pattern;
mod pattern_error;
mod print;
mod reference;
mod regexp;
mod scalar_matcher;
pub mod spanned;
mod spanned_pattern;
mod syntax;
pub mod tree;
mod undecided;
mod value;
mod wildcard;

pub use canonical_scalar::canonical_scalar;
pub use dialect::{Dialect, UnknownDialect};
pub use limits::PatternLimits;
pub use matcher::{BuildError, Elements, Fields, Matcher, Scratch, SearchBudget};
pub use pattern::Pattern;
pub use pattern_error::PatternError;
pub use reference::REFERENCE;
pub use reflexarc_event::{Decimal, Path};
pub use scalar_matcher::{FieldSet, ScalarMatcher};
pub use spanned_pattern::SpannedPattern;
pub use tree::{Alternative, Field, Node, Predicate, TextOp};
pub use undecided::Undecided;

pub(crate) use tree::{Bound, Regexp, Wildcard};

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
