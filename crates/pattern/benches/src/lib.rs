//! The workload of the matcher's benchmarks: ECS events and rules, and events that are hard for
//! matchers.

#![allow(missing_docs, reason = "read only by the benches beside it")]

use reflexarc_pattern::{Dialect, Node, Pattern};

pub mod adversarial;
pub mod events;
pub mod random;
pub mod rules;

/// The trees of rules in JSON notation.
pub fn nodes(rules: &[String]) -> Vec<Node> {
    let node = |rule: &String| {
        let pattern = Pattern::parse(rule, Dialect::default()).expect("a valid rule");
        pattern.node().clone()
    };
    rules.iter().map(node).collect()
}
