//! Tests of the filter language through its public API.

mod addresses;
mod analysis;
mod comments;
mod diagnostics;
mod explain;
mod explain_hints;
mod fix_properties;
mod fixes;
mod generate;
mod json_fixes;
mod matcher;
mod misuse;
mod misuse_in_both;
mod naive;
mod notation;
mod reference;
#[path = "../support/scalar_answer.rs"]
mod scalar_answer;
mod scalar_matcher;
