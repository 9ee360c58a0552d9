//! Tests of the filter language through its public API.

mod addresses;
mod analysis;
mod comments;
mod diagnostics;
mod explain;
mod explain_hints;
mod fixes;
mod generate;
mod matcher;
mod misuse;
mod naive;
mod notation;
mod reference;
#[path = "../support/scalar_answer.rs"]
mod scalar_answer;
mod scalar_matcher;
