//! The façade: rule files become a rule set that matches, evaluates, explains and tests itself.
//!
//! This crate must not know targets' addresses, stores or the network; reading a rules folder is its only I/O.

mod embedded;
mod evaluation;
mod file_diagnostics;
mod folder;
mod keys;
mod limits;
mod rule_file;
mod rule_set;
mod rule_test;

pub use evaluation::{Evaluation, Failure, RuleEffects};
pub use file_diagnostics::FileDiagnostics;
pub use limits::Limits;
pub use rule_set::RuleSet;
