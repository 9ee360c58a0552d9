//! The façade: rule files become a rule set that matches, evaluates, explains and tests itself.
//!
//! This crate must not know targets' addresses, stores or the network; reading a rules folder is its only I/O.

mod evaluation;

pub use evaluation::{Evaluation, Failure, RuleEffects};
