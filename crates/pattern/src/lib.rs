//! Which events: a filter language modelled on EventBridge event patterns, its tree, and two evaluators of it.
//!
//! [`naive`] says what a pattern means; everything faster must agree with it.
//!
//! This crate must not know rules, scripts, targets or any particular cloud's events, and has no clock and no I/O.

pub mod naive;
mod number;
mod path;
mod places;
mod regexp;
mod tree;
mod value;

pub use number::Decimal;
pub use path::Path;
pub use tree::{Alternative, Bound, Field, Node, Predicate, Regexp, TextOp, Wildcard};
