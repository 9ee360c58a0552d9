//! The event crate tested on the corpus, the examples and against `serde_json`.
#![allow(
    clippy::disallowed_methods,
    reason = "tests read their cases from files"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod canonical;
mod check_fixes;
mod corpus;
mod documented;
mod documents;
mod envelopes;
mod json;
mod notification;
