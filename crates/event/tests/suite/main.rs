//! The event crate against the corpus, the examples and its own twin.
#![allow(
    clippy::disallowed_methods,
    reason = "tests read their cases from files"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod corpus;
mod documented;
mod envelopes;
mod json;
mod notification;
