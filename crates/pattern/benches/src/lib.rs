//! What the matcher is measured on: a workload of ECS events and rules, and events that are hard
//! for matchers.

#![allow(missing_docs, reason = "read only by the benches beside it")]

pub mod adversarial;
pub mod events;
pub mod random;
pub mod rules;
